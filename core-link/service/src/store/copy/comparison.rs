//! Whether both hold the same, row by row and value by value.

use futures::TryStreamExt as _;

use super::{
    CopyError,
    error::{LostRow, on},
    schema::Table,
    source::Source,
    target::Target,
    value,
};

/// How many rows there are, if all of them are the same.
pub(super) async fn compare(
    source: &mut Source,
    target: &mut Target<'_>,
    table: &Table,
    database: &str,
) -> Result<u64, CopyError> {
    let (here, there) = (on(source.name()), on(database));
    let (mut written, mut found) = (source.rows(table), target.rows(table));
    let lost = || LostRow { table: table.name.clone() };
    let mut rows = 0;
    loop {
        let one = written.try_next().await.map_err(&here)?;
        let other = found.try_next().await.map_err(&there)?;
        match (one, other) {
            (None, None) => return Ok(rows),
            (Some(one), Some(other)) => {
                let (one, other) = (value::of_sqlite(&one, table)?, value::of_postgres(&other, table).map_err(&there)?);
                if one != other {
                    return Err(lost().into());
                }
            }
            (Some(_), None) | (None, Some(_)) => return Err(lost().into()),
        }
        rows += 1;
    }
}
