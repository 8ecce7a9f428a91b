//! Reads what a destination received, to show it in a familiar form: a mail with its headers and
//! text, rows as a table, a file with its name.

use std::fmt;

use mail_parser::{Address, MessageParser, MimeHeaders as _};
use percent_encoding::percent_decode_str;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::show;

/// The maximum number of rows that a page shows. Further rows are counted.
const ROWS_SHOWN_MAX: usize = 25;
/// The maximum number of columns of a table.
const COLUMNS_MAX: usize = 30;

/// A mail: its headers, its text and the files attached to it.
pub(crate) struct Mail {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) text: String,
    /// Name and size of each attachment.
    pub(crate) attachments: Vec<(String, String)>,
}

impl Mail {
    /// Reads a MIME message; `None` if the bytes are not a MIME message.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mail = MessageParser::default().parse(bytes)?;
        let mut headers = Vec::new();
        for (name, value) in [
            ("From", mail.from().map(addresses)),
            ("To", mail.to().map(addresses)),
            ("Cc", mail.cc().map(addresses)),
            ("Reply to", mail.reply_to().map(addresses)),
            ("Subject", mail.subject().map(str::to_owned)),
        ] {
            headers.extend(value.map(|value| (name, value)));
        }
        let attachments = mail.attachments().map(|part| {
            let name = part
                .attachment_name()
                .unwrap_or("without a name")
                .to_owned();
            (name, show::bytes(part.len() as u64))
        });
        let text = mail.body_text(0).unwrap_or_default().trim_end().to_owned();
        Some(Self {
            headers,
            text,
            attachments: attachments.collect(),
        })
    }
}

/// Formats addresses: `Ann Example <ann@example.com>, bob@example.com`.
fn addresses(addresses: &Address<'_>) -> String {
    let each = addresses
        .iter()
        .map(|one| match (one.name(), one.address()) {
            (Some(name), Some(address)) => format!("{name} <{address}>"),
            (name, address) => name.or(address).unwrap_or_default().to_owned(),
        });
    each.collect::<Vec<_>>().join(", ")
}

/// The first rows of a payload, as a table.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<String>,
    /// A cell is absent where the row does not have the column.
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// The number of rows that are not shown.
    pub(crate) more: usize,
}

impl Rows {
    /// Reads rows of JSON (an array of objects, or consecutive objects) or of CSV with a header.
    /// `None` if the text has no such rows or too many columns.
    pub(crate) fn read(text: &str, content_type: &str) -> Option<Self> {
        let rows = if content_type.contains("csv") {
            read_csv(text)?
        } else {
            read_json(text)?
        };
        Some(rows).filter(|rows| !rows.rows.is_empty() && rows.columns.len() <= COLUMNS_MAX)
    }

    fn from_rows(rows: Vec<Vec<(String, String)>>) -> Self {
        let mut table = Self {
            more: rows.len().saturating_sub(ROWS_SHOWN_MAX),
            ..Self::default()
        };
        for row in rows.into_iter().take(ROWS_SHOWN_MAX) {
            let mut cells = vec![None; table.columns.len()];
            for (column, value) in row {
                let index = table
                    .columns
                    .iter()
                    .position(|own| *own == column)
                    .unwrap_or_else(|| {
                        table.columns.push(column);
                        cells.push(None);
                        cells.len() - 1
                    });
                cells[index] = Some(value);
            }
            table.rows.push(cells);
        }
        let width = table.columns.len();
        table
            .rows
            .iter_mut()
            .for_each(|row| row.resize(width, None));
        table
    }
}

fn read_csv(text: &str) -> Option<Rows> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().ok()?.clone();
    let named = |record: csv::StringRecord| {
        let pairs = header
            .iter()
            .zip(record.iter())
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        pairs.collect::<Vec<_>>()
    };
    let rows: Result<Vec<_>, csv::Error> =
        reader.records().map(|record| record.map(named)).collect();
    rows.ok().map(Rows::from_rows)
}

fn read_json(text: &str) -> Option<Rows> {
    let members: Vec<Members> = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(text).ok()?,
        false => serde_json::Deserializer::from_str(text)
            .into_iter()
            .collect::<Result<_, _>>()
            .ok()?,
    };
    Some(Rows::from_rows(
        members
            .into_iter()
            .map(|Members(members)| members)
            .collect(),
    ))
}

/// The members of a JSON object in their order, each value as its text: a number keeps its digits,
/// a string has no quotes.
struct Members(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    let text = serde_json::from_str::<String>(value.get());
                    members.push((name, text.unwrap_or_else(|_| value.get().to_owned())));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Returns the name of a file: the last segment of its address, decoded.
pub(crate) fn file_name(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?;
    let (_, name) = path.rsplit_once('/')?;
    Some(percent_decode_str(name).decode_utf8_lossy().into_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_shown_by_its_headers_text_and_attachments() {
        let mime = "From: Waybill <bot@waybill.example>\r\nTo: ann@example.com, Bob <bob@example.com>\r\n\
                    Subject: =?utf-8?Q?R=C3=A9sum=C3=A9?=\r\nMIME-Version: 1.0\r\n\
                    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
                    Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8sIFfDtnJsZCE=\r\n--b\r\nContent-Type: text/csv; name=a.csv\r\n\
                    Content-Disposition: attachment; filename=a.csv\r\n\r\n1,2\r\n--b--\r\n";
        let mail = Mail::read(mime.as_bytes()).unwrap();
        let header = |name: &str| {
            mail.headers
                .iter()
                .find(|(own, _)| *own == name)
                .map(|(_, value)| &**value)
        };
        assert_eq!(header("From"), Some("Waybill <bot@waybill.example>"));
        assert_eq!(header("To"), Some("ann@example.com, Bob <bob@example.com>"));
        assert_eq!(header("Subject"), Some("Résumé"));
        assert_eq!(mail.text, "Hello, Wörld!");
        assert_eq!(mail.attachments, [("a.csv".to_owned(), "3 B".to_owned())]);
    }

    #[test]
    fn rows_keep_the_order_of_columns_and_the_digits_of_numbers() {
        let cells = |row: &[Option<&str>]| {
            row.iter()
                .map(|cell| cell.map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let expected = vec![
            cells(&[Some("x"), Some("1.10"), None]),
            cells(&[None, Some("2"), Some("null")]),
        ];
        for text in [
            r#"[{"z":"x","a":1.10},{"a":2,"n":null}]"#,
            "{\"z\":\"x\",\"a\":1.10}\n{\"a\":2,\"n\":null}\n",
        ] {
            let rows = Rows::read(text, "application/json").unwrap();
            assert_eq!(
                rows,
                Rows {
                    columns: ["z", "a", "n"].map(str::to_owned).into(),
                    rows: expected.clone(),
                    more: 0
                }
            );
        }
        let rows = Rows::read("a,b\n1,\"x, y\"\n", "text/csv; charset=utf-8").unwrap();
        assert_eq!(
            (rows.columns.len(), rows.rows),
            (2, vec![cells(&[Some("1"), Some("x, y")])])
        );
        assert_eq!(Rows::read("[1,2]", "application/json"), None);
        let many = format!("[{}]", vec!["{\"n\":1}"; 30].join(","));
        assert_eq!(Rows::read(&many, "application/json").unwrap().more, 5);
    }

    #[test]
    fn a_files_name_ends_its_address() {
        assert_eq!(
            file_name("sftp://h:22/in/r%C3%A9sum%C3%A9.json").as_deref(),
            Some("résumé.json")
        );
        assert_eq!(
            file_name("https://b.s3.example/a/b.csv?versionId=1").as_deref(),
            Some("b.csv")
        );
        assert_eq!(file_name("https://b.s3.example/"), None);
    }
}
