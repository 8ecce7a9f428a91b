//! Reads the e-mails that a local Waybill stores instead of sending, with Python's e-mail library.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use servers::program::run;

/// Prints the headers and the content of each e-mail.
const READER: &str = r#"
import email.policy, glob, json, sys
def read(path):
    with open(path, "rb") as file:
        mail = email.message_from_binary_file(file, policy=email.policy.default)
    body = lambda kind: (part := mail.get_body((kind,))) and part.get_content()
    return {"from": mail["from"], "to": mail["to"], "subject": mail["subject"], "text": body("plain"), "html": body("html")}
print(json.dumps([read(path) for path in sorted(glob.glob(sys.argv[1] + "/*.eml"))]))
"#;

/// Returns all e-mails in a data directory, each as `{from, to, subject, text, html}`.
pub fn mails(data: &Path) -> Vec<Value> {
    let printed = run(Command::new("python3")
        .args(["-c", READER])
        .arg(data.join("mail")));
    serde_json::from_str(&printed).expect("the reader prints JSON")
}
