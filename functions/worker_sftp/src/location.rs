//! The path of a file, rendered from the destination's templates.

use domain::settings::sftp::SftpSettings;
use render::TemplateValues;
use tokio::time::Instant;
use worker::ConnectorError;

/// The path of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    /// The directory without empty segments and `.`; `""` is the directory after signing in, `/`
    /// the root.
    pub(crate) directory: String,
    /// The name in that directory.
    pub(crate) name: String,
}

/// Renders the destination's templates to the path of the file.
pub(crate) async fn render_location(
    settings: &SftpSettings,
    template_values: TemplateValues,
    deadline: Instant,
) -> Result<Location, ConnectorError> {
    let templates = settings.clone();
    let organization = template_values.organization_id.clone();
    let rendered = render::off_thread(organization, Some(deadline), move |stop| {
        render::line::file(&templates, &template_values, stop)
    })
    .await;
    let (directory, name) = rendered?;
    Ok(Location {
        directory: normal(&directory),
        name,
    })
}

impl Location {
    /// Returns the path of the file.
    pub(crate) fn path(&self) -> String {
        joined(&self.directory, &self.name)
    }

    /// The name of a delivery's file until it is complete. It is the same on every attempt, so that
    /// the next attempt overwrites what a crash left behind.
    pub(crate) fn temporary_path(&self, delivery_id: &str) -> String {
        self.child(&format!(".waybill-{delivery_id}.part"))
    }

    /// The temporary name of a file that is being replaced, on servers that cannot replace it in
    /// one step.
    pub(crate) fn replaced_path(&self, delivery_id: &str) -> String {
        self.child(&format!(".waybill-{delivery_id}.replaced"))
    }

    /// The path of a name in the directory.
    pub(crate) fn child(&self, name: &str) -> String {
        joined(&self.directory, name)
    }

    /// The directory and its parents, the outermost first.
    pub(crate) fn directories(&self) -> Vec<String> {
        let root = if self.directory.starts_with('/') {
            "/"
        } else {
            ""
        };
        let mut path = root.to_owned();
        let segments = self
            .directory
            .split('/')
            .filter(|segment| !segment.is_empty());
        segments
            .map(|segment| {
                path = joined(&path, segment);
                path.clone()
            })
            .collect()
    }
}

/// The directory that contains every file of a destination: the template up to its first variable.
/// The second value says whether the template names directories below it.
pub(crate) fn constant_directory(settings: &SftpSettings) -> (Location, bool) {
    let template = &settings.directory_template;
    let tags = ["{{", "{%", "{#"];
    let (constant, varies) = match tags.iter().filter_map(|tag| template.find(tag)).min() {
        Some(start) => match template[..start].rsplit_once('/') {
            Some(("", _)) => ("/", true),
            Some((whole, _)) => (whole, true),
            None => ("", true),
        },
        None => (template.as_str(), false),
    };
    (
        Location {
            directory: normal(constant),
            name: String::new(),
        },
        varies,
    )
}

fn normal(directory: &str) -> String {
    let segments: Vec<&str> = directory
        .split('/')
        .filter(|segment| !matches!(*segment, "" | "."))
        .collect();
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

    fn location(directory: &str) -> Location {
        Location {
            directory: normal(directory),
            name: "a.csv".to_owned(),
        }
    }

    #[test]
    fn paths_are_plain() {
        for (directory, path) in [
            ("", "a.csv"),
            (".", "a.csv"),
            ("/", "/a.csv"),
            ("./in//x/", "in/x/a.csv"),
            ("/in/./x", "/in/x/a.csv"),
        ] {
            assert_eq!(location(directory).path(), path, "{directory}");
        }
        assert_eq!(
            location("/in").temporary_path("dlv_1_00"),
            "/in/.waybill-dlv_1_00.part"
        );
        assert_eq!(location("/a/b").directories(), ["/a", "/a/b"]);
        assert_eq!(location("a/b").directories(), ["a", "a/b"]);
        assert!(location("").directories().is_empty() && location("/").directories().is_empty());
    }

    #[test]
    fn the_directory_before_the_first_variable_is_constant() {
        let rows: &[(&str, (&str, bool))] = &[
            (".", ("", false)),
            ("in/{{ event_type }}", ("in", true)),
            ("/in/x{{ event_type }}/y", ("/in", true)),
            ("/{{ event_type }}", ("/", true)),
            ("a/b", ("a/b", false)),
            ("{% if attempt %}a{% endif %}", ("", true)),
        ];
        for (template, expected) in rows {
            let json = serde_json::json!({"host": "h", "port": 22, "username": "u",
                "host_key": format!("SHA256:{}", "A".repeat(43)),
                "directory_template": template, "filename_template": "f", "if_exists": "fail",
                "timeout_seconds": 1});
            let (location, varies) =
                constant_directory(&serde_json::from_value(json).expect("settings"));
            assert_eq!(
                (location.directory.as_str(), varies),
                *expected,
                "{template}"
            );
        }
    }
}
