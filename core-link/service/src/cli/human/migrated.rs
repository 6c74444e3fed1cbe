//! What became of a store that was copied, for people.

use super::{counted, table};
use crate::control::Migrated;

pub(super) fn text(Migrated { to, was_there, seconds, tables }: &Migrated) -> String {
    let rows = tables.iter().map(|(table, rows)| [table.clone(), rows.to_string()]);
    let listed = table(["TABLE", "ROWS"], rows);
    let all = counted(tables.values().sum::<u64>(), "row");
    if *was_there {
        return format!("{listed}\nAll of it, {all}, is in {to} already; nothing was changed.\n");
    }
    format!(
        "{listed}\n{all} went to {to}, and were compared there value by value, in {seconds:.1} s.\n\
         Now set database to that URL on each Core, and move the old file away.\n"
    )
}
