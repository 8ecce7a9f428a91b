//! Renders one line: an object's key, a file's name, a directory, a subject.

use domain::settings::sftp::{SftpSettings, directory_refusal, filename_refusal};
use domain::settings::storage::{ObjectSettings, key_refusal};
use template::{Limits, Stop, Template};

use crate::{Fault, TemplateValues};

/// Renders a template of one line.
pub fn line(
    name: &'static str,
    source: &str,
    values: &TemplateValues,
    stop: &Stop,
) -> Result<String, Fault> {
    let template =
        Template::compile(source, Limits::LINE).map_err(|error| Fault::of(name, error))?;
    template
        .render(&values.variables(), stop)
        .map_err(|error| Fault::rendering(name, &error))
}

/// Renders an object's key.
pub fn key(
    settings: &ObjectSettings,
    values: &TemplateValues,
    stop: &Stop,
) -> Result<String, Fault> {
    let key = line("key_template", &settings.key_template, values, stop)?;
    key_refusal(&key).map_or(Ok(key), |refusal| Err(Fault::of("key_template", refusal)))
}

/// Checks whether the templates of a file's directory and name can be compiled.
pub fn file_templates(settings: &SftpSettings) -> Result<(), Fault> {
    let templates = [
        ("directory_template", &settings.directory_template),
        ("filename_template", &settings.filename_template),
    ];
    templates.into_iter().try_for_each(|(name, source)| {
        Template::compile(source, Limits::LINE)
            .map(drop)
            .map_err(|error| Fault::of(name, error))
    })
}

/// Renders a file's directory and name.
pub fn file(
    settings: &SftpSettings,
    values: &TemplateValues,
    stop: &Stop,
) -> Result<(String, String), Fault> {
    let directory = line(
        "directory_template",
        &settings.directory_template,
        values,
        stop,
    )?;
    let name = line(
        "filename_template",
        &settings.filename_template,
        values,
        stop,
    )?;
    match (
        directory_refusal(&settings.directory_template, &directory),
        filename_refusal(&name),
    ) {
        (Some(refusal), _) => Err(Fault::of("directory_template", refusal)),
        (None, Some(refusal)) => Err(Fault::of("filename_template", refusal)),
        (None, None) => Ok((directory, name)),
    }
}
