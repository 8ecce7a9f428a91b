//! One line: an object's key, a file's name, a directory, a subject.

use domain::settings::sftp::{SftpSettings, directory_refusal, filename_refusal};
use domain::settings::storage::{ObjectSettings, key_refusal};
use template::{Limits, Template};

use crate::{Fault, Wording};

/// A template of one line, filled in.
pub fn line(name: &'static str, source: &str, wording: &Wording) -> Result<String, Fault> {
    let template = Template::compile(source, Limits::LINE).map_err(|error| Fault::of(name, error))?;
    template.render(&wording.variables()).map_err(|error| Fault::of(name, error))
}

/// An object's key.
pub fn key(settings: &ObjectSettings, wording: &Wording) -> Result<String, Fault> {
    let key = line("key_template", &settings.key_template, wording)?;
    key_refusal(&key).map_or(Ok(key), |refusal| Err(Fault::of("key_template", refusal)))
}

/// A file's directory and name.
pub fn file(settings: &SftpSettings, wording: &Wording) -> Result<(String, String), Fault> {
    let directory = line("directory_template", &settings.directory_template, wording)?;
    let name = line("filename_template", &settings.filename_template, wording)?;
    match (directory_refusal(&settings.directory_template, &directory), filename_refusal(&name)) {
        (Some(refusal), _) => Err(Fault::of("directory_template", refusal)),
        (None, Some(refusal)) => Err(Fault::of("filename_template", refusal)),
        (None, None) => Ok((directory, name)),
    }
}
