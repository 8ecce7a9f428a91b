//! Icons from <https://lucide.dev> (ISC, `assets/lucide/LICENSE.txt`).
//!
//! Pages contain them as inline SVG, so that an icon has the colour of the text around it.

use std::fmt;

use askama::filters::HtmlSafe;

macro_rules! icons {
    ($($name:literal),* $(,)?) => {
        const ALL: &[(&str, &str)] = &[$(($name,
            include_str!(concat!("../assets/lucide/", $name, ".svg")))),*];
    };
}

icons!(
    "arrow-right",
    "ban",
    "bell",
    "building-2",
    "chevron-down",
    "chevron-right",
    "circle-check",
    "circle-dot",
    "circle-pause",
    "circle-slash",
    "circle-x",
    "clock",
    "cloud",
    "copy",
    "database",
    "download",
    "external-link",
    "folder-key",
    "inbox",
    "info",
    "key-round",
    "layout-dashboard",
    "link",
    "list-checks",
    "lock",
    "log-out",
    "mail",
    "package",
    "pencil",
    "play",
    "plus",
    "radio",
    "refresh-cw",
    "rotate-cw",
    "scroll-text",
    "search",
    "send",
    "settings",
    "shield-check",
    "trash-2",
    "triangle-alert",
    "waypoints",
    "webhook",
    "x",
);

/// An icon as inline SVG. It is hidden from screen readers, because each has a text next to it.
#[derive(Clone, Copy)]
pub(crate) struct Icon(&'static str);

/// Returns the icon with this name. Its drawing is empty if the name is unknown; a test ensures
/// that every name in a template is known.
pub(crate) fn icon(name: &str) -> Icon {
    Icon(
        ALL.iter()
            .find(|(own, _)| *own == name)
            .map_or("", |(_, svg)| drawing(svg)),
    )
}

/// Returns the content of the `svg` element of a file.
fn drawing(svg: &'static str) -> &'static str {
    let inside = svg
        .split_once("<svg")
        .and_then(|(_, rest)| rest.split_once('>'));
    inside
        .and_then(|(_, rest)| rest.rsplit_once("</svg>"))
        .map_or("", |(inside, _)| inside.trim())
}

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">"#)?;
        self.0
            .lines()
            .try_for_each(|line| f.write_str(line.trim()))?;
        f.write_str("</svg>")
    }
}

impl HtmlSafe for Icon {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_icon_that_a_template_names_is_drawn() {
        let templates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let mut named = 0;
        for file in std::fs::read_dir(templates).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for rest in text.split("icon(\"").skip(1) {
                let name = rest.split('"').next().unwrap();
                assert!(!icon(name).0.is_empty(), "{name}");
                named += 1;
            }
        }
        assert!(named > 20, "{named}");
        assert!(icon("bell").to_string().contains("<path d="));
    }
}
