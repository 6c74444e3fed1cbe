//! How a named query reaches its database: a text, its values in order, and rows read by the names of their columns.
//!
//! A statement is prepared once for each connection and kept. Several statements in one text, parted by `;`, run one
//! after the other and share their values.

mod parts;

use std::borrow::Cow;

use futures::TryStreamExt as _;
use sqlx::{
    Arguments, ColumnIndex as _, Encode, Row as _, Type,
    pool::PoolConnection,
    postgres::PgRow,
    query_with,
    sqlite::{Sqlite, SqliteArguments, SqliteRow},
};

use super::{StoreError, postgres::Session};

/// One connection to whichever database the store is on.
pub(super) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(Session),
}

/// A query that waits for its values.
#[must_use = "a statement does nothing until it is executed"]
pub(super) struct Statement<'q> {
    text: &'static str,
    postgres_text: &'static str,
    values: Vec<Value<'q>>,
}

/// Everything that a query may be given.
pub(super) enum Value<'q> {
    Integer(Option<i64>),
    Flag(bool),
    Text(Option<Cow<'q, str>>),
    Bytes(Option<Cow<'q, [u8]>>),
}

/// One row of an answer.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// Everything that a column may be read as.
pub(super) trait Column<'r>: Sized {
    fn read(row: &'r Row, position: usize) -> Result<Self, sqlx::Error>;
}

pub(super) fn sql(text: &'static str) -> Statement<'static> {
    sql_for_each(text, text)
}

/// Where the two databases must be asked in different words.
pub(super) fn sql_for_each(sqlite: &'static str, postgres: &'static str) -> Statement<'static> {
    Statement { text: sqlite, postgres_text: postgres, values: Vec::new() }
}

impl<'q> Statement<'q> {
    /// The next of `$1`, `$2`, …
    pub(super) fn bind<'v>(self, value: impl Into<Value<'v>>) -> Statement<'v>
    where
        'q: 'v,
    {
        let mut values: Vec<Value<'v>> = self.values;
        values.push(value.into());
        Statement { text: self.text, postgres_text: self.postgres_text, values }
    }

    /// Says how many rows it changed.
    pub(super) async fn execute(self, connection: &mut Connection) -> Result<u64, StoreError> {
        match connection {
            Connection::Sqlite(connection) => {
                let done = query_with(self.text, arguments::<SqliteArguments>(&self.values)?)
                    .execute(&mut **connection)
                    .await?;
                Ok(done.rows_affected())
            }
            Connection::Postgres(session) => {
                let mut changed = 0;
                for part in parts::parts(self.postgres_text) {
                    changed += session.execute(part.text, arguments(&self.values[..part.values])?).await?;
                }
                Ok(changed)
            }
        }
    }

    pub(super) async fn fetch_optional(self, connection: &mut Connection) -> Result<Option<Row>, StoreError> {
        match connection {
            Connection::Sqlite(connection) => {
                let row = query_with(self.text, arguments::<SqliteArguments>(&self.values)?)
                    .fetch_optional(&mut **connection)
                    .await?;
                Ok(row.map(Row::Sqlite))
            }
            Connection::Postgres(session) => {
                let row = session.fetch_optional(self.postgres_text, arguments(&self.values)?).await?;
                Ok(row.map(Row::Postgres))
            }
        }
    }

    pub(super) async fn fetch_one(self, connection: &mut Connection) -> Result<Row, StoreError> {
        Ok(self.fetch_optional(connection).await?.ok_or(sqlx::Error::RowNotFound)?)
    }

    pub(super) async fn fetch_all(self, connection: &mut Connection) -> Result<Vec<Row>, StoreError> {
        match connection {
            Connection::Sqlite(connection) => {
                let rows = query_with(self.text, arguments::<SqliteArguments>(&self.values)?)
                    .fetch_all(&mut **connection)
                    .await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Connection::Postgres(session) => {
                let rows = session.fetch_all(self.postgres_text, arguments(&self.values)?).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// Takes rows one by one as they come, so that many of them hold up nobody else.
    pub(super) async fn for_each(
        self,
        connection: &mut Connection,
        mut take: impl FnMut(&Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match connection {
            Connection::Sqlite(connection) => {
                let mut rows =
                    query_with(self.text, arguments::<SqliteArguments>(&self.values)?).fetch(&mut **connection);
                while let Some(row) = rows.try_next().await? {
                    take(&Row::Sqlite(row))?;
                }
                Ok(())
            }
            Connection::Postgres(session) => {
                let take = |row| take(&Row::Postgres(row));
                session.for_each(self.postgres_text, arguments(&self.values)?, take).await
            }
        }
    }

    /// The first column of the row, if there is one.
    pub(super) async fn scalar_optional<T>(self, connection: &mut Connection) -> Result<Option<T>, StoreError>
    where
        T: for<'r> Column<'r>,
    {
        let row = self.fetch_optional(connection).await?;
        Ok(row.map(|row| T::read(&row, 0)).transpose()?)
    }

    pub(super) async fn scalar_one<T>(self, connection: &mut Connection) -> Result<T, StoreError>
    where
        T: for<'r> Column<'r>,
    {
        Ok(T::read(&self.fetch_one(connection).await?, 0)?)
    }

    pub(super) async fn scalar_all<T>(self, connection: &mut Connection) -> Result<Vec<T>, StoreError>
    where
        T: for<'r> Column<'r>,
    {
        let rows = self.fetch_all(connection).await?;
        rows.iter().map(|row| Ok(T::read(row, 0)?)).collect()
    }
}

fn arguments<A>(values: &[Value<'_>]) -> Result<A, sqlx::Error>
where
    A: Arguments,
    for<'v> Option<i64>: Encode<'v, A::Database> + Type<A::Database>,
    for<'v> bool: Encode<'v, A::Database> + Type<A::Database>,
    for<'v> Option<&'v str>: Encode<'v, A::Database> + Type<A::Database>,
    for<'v> Option<&'v [u8]>: Encode<'v, A::Database> + Type<A::Database>,
{
    let mut arguments = A::default();
    for value in values {
        let added = match value {
            Value::Integer(value) => arguments.add(*value),
            Value::Flag(value) => arguments.add(*value),
            Value::Text(value) => arguments.add(value.as_deref()),
            Value::Bytes(value) => arguments.add(value.as_deref()),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

impl Row {
    pub(super) fn try_get<'r, T: Column<'r>>(&'r self, column: &str) -> Result<T, StoreError> {
        let position = match self {
            Self::Sqlite(row) => column.index(row)?,
            Self::Postgres(row) => column.index(row)?,
        };
        Ok(T::read(self, position)?)
    }
}

macro_rules! columns {
    ($($kind:ty),*) => {
        $(impl<'r> Column<'r> for $kind {
            fn read(row: &'r Row, position: usize) -> Result<Self, sqlx::Error> {
                match row {
                    Row::Sqlite(row) => row.try_get(position),
                    Row::Postgres(row) => row.try_get(position),
                }
            }
        })*
    };
}
columns!(bool, i64, Option<i64>, String, Option<String>, &'r str, Option<&'r str>, Vec<u8>, Option<Vec<u8>>, &'r [u8]);

impl Column<'_> for u32 {
    fn read(row: &Row, position: usize) -> Result<Self, sqlx::Error> {
        Self::try_from(i64::read(row, position)?).map_err(|error| sqlx::Error::Decode(error.into()))
    }
}

impl Column<'_> for Option<u32> {
    fn read(row: &Row, position: usize) -> Result<Self, sqlx::Error> {
        let value = Option::<i64>::read(row, position)?.map(u32::try_from).transpose();
        value.map_err(|error| sqlx::Error::Decode(error.into()))
    }
}

macro_rules! values {
    ($($kind:ty => |$value:ident| $made:expr;)*) => {
        $(impl<'q> From<$kind> for Value<'q> {
            fn from($value: $kind) -> Self {
                $made
            }
        })*
    };
}
values! {
    i64 => |value| Self::Integer(Some(value));
    Option<i64> => |value| Self::Integer(value);
    u32 => |value| Self::Integer(Some(value.into()));
    bool => |value| Self::Flag(value);
    String => |value| Self::Text(Some(value.into()));
    Option<String> => |value| Self::Text(value.map(Cow::Owned));
    &'q str => |value| Self::Text(Some(value.into()));
    &'q String => |value| Self::Text(Some(value.into()));
    Option<&'q str> => |value| Self::Text(value.map(Cow::Borrowed));
    &'q Option<String> => |value| Self::Text(value.as_deref().map(Cow::Borrowed));
    Vec<u8> => |value| Self::Bytes(Some(value.into()));
    &'q [u8] => |value| Self::Bytes(Some(value.into()));
    &'q [u8; 32] => |value| Self::Bytes(Some(Cow::Borrowed(value)));
}
