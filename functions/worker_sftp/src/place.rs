//! Where a file goes: rendered from the destination's templates.

use domain::Reason;
use domain::check::StepName;
use domain::settings::sftp::SftpSettings;
use domain::settle::Outcome;
use render::{Fault, Wording};
use tokio::time::Instant;

use crate::failure::Failure;

/// Where a file goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Without empty segments and `.`; `""` is where signing in leads to, `/` the root.
    pub(crate) directory: String,
    /// In that directory.
    pub(crate) name: String,
}

/// Where the destination's templates say that the file goes.
pub(crate) async fn located(settings: &SftpSettings, wording: Wording, deadline: Instant) -> Result<Place, Failure> {
    let templates = settings.clone();
    let rendered = render::off_thread(Some(deadline), move |stop| render::line::file(&templates, &wording, stop)).await;
    match rendered {
        Ok((directory, name)) => Ok(Place { directory: normal(&directory), name }),
        Err(fault) if fault.is_ours => Err(Failure::new(StepName::Write, Outcome::Retry(Reason::Internal), fault.to_string())),
        Err(fault) => Err(misconfigured(&fault)),
    }
}

/// The destination's templates do not work out.
pub(crate) fn misconfigured(fault: &Fault) -> Failure {
    Failure::new(StepName::Write, Outcome::Reject(Reason::Misconfigured), fault.to_string())
}

impl Place {
    /// The file's path.
    pub(crate) fn path(&self) -> String {
        joined(&self.directory, &self.name)
    }

    /// The name that a delivery's bytes have until they are complete. It is the same on every attempt, so that the next one goes on where
    /// a crash left off and leaves nothing behind.
    pub(crate) fn temporary_path(&self, delivery_id: &str) -> String {
        joined(&self.directory, &format!(".waybill-{delivery_id}.part"))
    }

    /// The directories on the way, the outermost first.
    pub(crate) fn directories(&self) -> Vec<String> {
        let root = if self.directory.starts_with('/') { "/" } else { "" };
        let mut path = root.to_owned();
        let segments = self.directory.split('/').filter(|segment| !segment.is_empty());
        segments
            .map(|segment| {
                path = joined(&path, segment);
                path.clone()
            })
            .collect()
    }
}

/// The directories that may be there before any delivery: those the template names before its first variable, the innermost first, and
/// last where signing in leads to.
pub(crate) fn constant_directories(settings: &SftpSettings) -> Vec<Place> {
    let template = &settings.directory_template;
    let constant = match template.find("{{").into_iter().chain(template.find("{%")).chain(template.find("{#")).min() {
        Some(start) => template[..start].rsplit_once('/').map_or("", |(whole, _)| if whole.is_empty() { "/" } else { whole }),
        None => template,
    };
    let innermost = Place { directory: normal(constant), name: String::new() };
    let outer = if innermost.directory.starts_with('/') { "/" } else { "" };
    let mut directories: Vec<String> = innermost.directories();
    directories.insert(0, outer.to_owned());
    directories.into_iter().rev().map(|directory| Place { directory, name: String::new() }).collect()
}

fn normal(directory: &str) -> String {
    let segments: Vec<&str> = directory.split('/').filter(|segment| !matches!(*segment, "" | ".")).collect();
    let root = if directory.starts_with('/') { "/" } else { "" };
    format!("{root}{}", segments.join("/"))
}

fn joined(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        "/" => format!("/{name}"),
        directory => format!("{directory}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(directory: &str) -> Place {
        Place { directory: normal(directory), name: "a.csv".to_owned() }
    }

    #[test]
    fn paths_are_plain() {
        for (directory, path) in [("", "a.csv"), (".", "a.csv"), ("/", "/a.csv"), ("./in//x/", "in/x/a.csv"), ("/in/./x", "/in/x/a.csv")] {
            assert_eq!(place(directory).path(), path, "{directory}");
        }
        assert_eq!(place("/in").temporary_path("dlv_1_00"), "/in/.waybill-dlv_1_00.part");
        assert_eq!(place("/a/b").directories(), ["/a", "/a/b"]);
        assert_eq!(place("a/b").directories(), ["a", "a/b"]);
        assert!(place("").directories().is_empty() && place("/").directories().is_empty());
    }

    #[test]
    fn the_directories_before_the_first_variable_are_the_check_s() {
        let rows: &[(&str, &[&str])] = &[
            (".", &[""]),
            ("in/{{ event_type }}", &["in", ""]),
            ("/in/x{{ event_type }}/y", &["/in", "/"]),
            ("/{{ event_type }}", &["/"]),
            ("a/b", &["a/b", "a", ""]),
            ("{% if attempt %}a{% endif %}", &[""]),
        ];
        for (template, expected) in rows {
            let json = serde_json::json!({"host": "h", "port": 22, "username": "u", "host_key": format!("SHA256:{}", "A".repeat(43)),
                "directory_template": template, "filename_template": "f", "if_exists": "fail", "timeout_seconds": 1});
            let found = constant_directories(&serde_json::from_value(json).expect("settings"));
            assert_eq!(found.into_iter().map(|place| place.directory).collect::<Vec<_>>(), *expected, "{template}");
        }
    }
}
