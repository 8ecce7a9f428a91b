//! The real template with the parameters that these tests need, on engines in a folder of their
//! own.

use std::collections::BTreeMap;

use local::data_directory::DataDirectory;
use local::run;
use local::template::{COMPILED_IN, Template};
use local_aws::{Engines, Options};
use tempfile::TempDir;

/// A template and its engines, before the instance is built.
pub(crate) struct Opened {
    pub(crate) template: Template,
    pub(crate) engines: Engines,
    pub(crate) directory: DataDirectory,
    pub(crate) folder: TempDir,
}

impl Opened {
    /// Opens the template with destinations in these private networks and messages from these
    /// sources.
    pub(crate) fn new(networks: &str, sources: &str) -> Self {
        runtime::platform::install_tls();
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(folder.path()).unwrap();
        let parameters = [
            ("PublicUrl", "http://127.0.0.1:1"),
            ("EgressAllow", networks),
            ("AllowPlainHttp", "true"),
            ("RateLimits", "off"),
            ("IngestSources", sources),
        ];
        let parameters: BTreeMap<String, String> = parameters
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let mut template = Template::read(COMPILED_IN, &parameters).unwrap();
        let engines = Engines::open(
            directory.path(),
            &template.stack().unwrap().resources,
            Options::local(),
        )
        .unwrap();
        run::assign(&mut template, &engines);
        Self {
            template,
            engines,
            directory,
            folder,
        }
    }
}
