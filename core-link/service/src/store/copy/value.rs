//! One value on its way. SQLite lets any column hold anything, so each is looked at; what Postgres could not keep is told
//! with the place where it stands.

use sqlx::{Row as _, TypeInfo as _, ValueRef as _, postgres::PgRow, sqlite::SqliteRow};

use super::{
    CopyError,
    schema::{Column, Kind, Table},
};

const HEX: &[u8; 16] = b"0123456789abcdef";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Flag(bool),
    Text(String),
    Bytes(Vec<u8>),
}

/// The columns of the table, which stand behind the row's number.
pub(super) fn of_sqlite(row: &SqliteRow, table: &Table) -> Result<Vec<Value>, CopyError> {
    let columns = table.columns.iter().enumerate();
    columns
        .map(|(index, column)| {
            read(row, index + 1, column.kind).map_err(|reason| CopyError::Value {
                table: table.name.clone(),
                column: column.name.clone(),
                row: row.try_get(0).unwrap_or_default(),
                reason,
            })
        })
        .collect()
}

fn read(row: &SqliteRow, index: usize, kind: Kind) -> Result<Value, &'static str> {
    const UNREADABLE: &str = "it cannot be read";
    let raw = row.try_get_raw(index).map_err(|_| UNREADABLE)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let stored = raw.type_info();
    match (kind, stored.name()) {
        (Kind::Integer, "INTEGER") => row.try_get_unchecked(index).map(Value::Integer).map_err(|_| UNREADABLE),
        (Kind::Flag, "INTEGER") => match row.try_get_unchecked::<i64, _>(index) {
            Ok(0) => Ok(Value::Flag(false)),
            Ok(1) => Ok(Value::Flag(true)),
            Ok(_) | Err(_) => Err("it is neither true nor false"),
        },
        (Kind::Text, "TEXT") => {
            let text: String = row.try_get_unchecked(index).map_err(|_| "it is no UTF-8")?;
            if text.contains('\0') { Err("it holds a zero byte") } else { Ok(Value::Text(text)) }
        }
        (Kind::Bytes, "BLOB") => row.try_get_unchecked(index).map(Value::Bytes).map_err(|_| UNREADABLE),
        (Kind::Integer | Kind::Flag | Kind::Text | Kind::Bytes | Kind::Other, _) => Err("it is of another type"),
    }
}

pub(super) fn of_postgres(row: &PgRow, table: &Table) -> Result<Vec<Value>, sqlx::Error> {
    let value = |(index, column): (usize, &Column)| {
        let value = match column.kind {
            Kind::Integer => row.try_get::<Option<i64>, _>(index)?.map(Value::Integer),
            Kind::Flag => row.try_get::<Option<bool>, _>(index)?.map(Value::Flag),
            Kind::Text => row.try_get::<Option<String>, _>(index)?.map(Value::Text),
            Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(index)?.map(Value::Bytes),
            Kind::Other => return Err(sqlx::Error::ColumnNotFound(column.name.clone())),
        };
        Ok(value.unwrap_or(Value::Null))
    };
    table.columns.iter().enumerate().map(value).collect()
}

impl Value {
    /// As COPY reads it in its text format.
    pub(super) fn write(&self, line: &mut String) {
        match self {
            Self::Null => line.push_str("\\N"),
            Self::Integer(number) => line.push_str(&number.to_string()),
            Self::Flag(flag) => line.push(if *flag { 't' } else { 'f' }),
            Self::Text(text) => text.chars().for_each(|character| match character {
                '\\' => line.push_str("\\\\"),
                '\n' => line.push_str("\\n"),
                '\r' => line.push_str("\\r"),
                '\t' => line.push_str("\\t"),
                other => line.push(other),
            }),
            Self::Bytes(bytes) => {
                line.push_str("\\\\x");
                let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                line.extend(digits.map(|digit| char::from(HEX[usize::from(digit)])));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_value_or_a_line_is_escaped() {
        for (value, written) in [
            (Value::Null, "\\N"),
            (Value::Text("\\N".to_owned()), "\\\\N"),
            (Value::Text("\\.\n\r\ta".to_owned()), "\\\\.\\n\\r\\ta"),
            (Value::Text(String::new()), ""),
            (Value::Bytes(vec![0, 10, 255]), "\\\\x000aff"),
            (Value::Integer(i64::MIN), "-9223372036854775808"),
            (Value::Flag(true), "t"),
        ] {
            let mut line = String::new();
            value.write(&mut line);
            assert_eq!(line, written, "{value:?}");
        }
    }
}
