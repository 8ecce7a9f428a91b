//! The first start makes an organization and its keys; later ones find them in `local.json`.

use std::io;

use crate::data_directory::DataDirectory;
use crate::local_json::{Keys, LocalJson};

/// The keys of this instance: those of an earlier start.
pub fn keys(directory: &DataDirectory) -> io::Result<Option<Keys>> {
    LocalJson::keys(directory)
}
