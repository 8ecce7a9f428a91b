//! Determines the action and table of a PartiQL statement, as far as a policy check needs.

use super::capacity::Kind;

/// The action of a statement, and its table and index.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) action: &'static str,
    pub(super) kind: Kind,
    pub(super) table: String,
    pub(super) index: Option<String>,
}

/// Parses a statement; `None` if the engine must refuse it.
pub(super) fn read(statement: &str) -> Option<Statement> {
    let mut words = statement.split_whitespace();
    let verb = words.next()?.to_ascii_uppercase();
    let (action, kind, before_table) = match verb.as_str() {
        "SELECT" => ("dynamodb:PartiQLSelect", Kind::Read, Some("FROM")),
        "INSERT" => ("dynamodb:PartiQLInsert", Kind::Write, Some("INTO")),
        "UPDATE" => ("dynamodb:PartiQLUpdate", Kind::Write, None),
        "DELETE" => ("dynamodb:PartiQLDelete", Kind::Write, Some("FROM")),
        _ => return None,
    };
    if let Some(keyword) = before_table {
        words.find(|word| word.eq_ignore_ascii_case(keyword))?;
    }
    let mut names = words
        .next()?
        .split('.')
        .map(|name| name.trim_matches('"').to_owned());
    Some(Statement {
        action,
        kind,
        table: names.next()?,
        index: names.next(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn names_the_verb_table_and_index() {
        let update = read(r#"UPDATE "waybill-Table" SET a = ? WHERE pk = ?"#).unwrap();
        assert_eq!(
            (update.action, update.table.as_str(), update.index),
            ("dynamodb:PartiQLUpdate", "waybill-Table", None)
        );
        let select = read(r#"select a, b from "waybill-Table"."due" where du_pk = ?"#).unwrap();
        assert_eq!(
            (select.action, select.index.as_deref()),
            ("dynamodb:PartiQLSelect", Some("due"))
        );
        assert_eq!(read("DROP TABLE x"), None);
    }
}
