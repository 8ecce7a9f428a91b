//! `local.json`: what a person or a script needs to use this instance.

use std::io;

use serde::{Deserialize, Serialize};

use crate::data_directory::DataDirectory;

const FILE: &str = "local.json";

/// The keys made on the first start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// May do everything, in every organization.
    pub operator_key: String,
    /// The organization made on the first start.
    pub organization_id: String,
    /// An admin key of it.
    pub organization_key: String,
}

/// The file's content: rewritten on every start, since the addresses may change.
#[derive(Debug, Serialize)]
pub struct LocalJson {
    /// Where the API answers.
    pub api_url: String,
    /// Where the console answers.
    pub console_url: String,
    /// The keys, as before.
    #[serde(flatten)]
    pub keys: Keys,
}

impl LocalJson {
    /// The keys of an earlier start.
    pub fn keys(directory: &DataDirectory) -> io::Result<Option<Keys>> {
        match directory.read(FILE)? {
            None => Ok(None),
            Some(bytes) => Ok(serde_json::from_slice(&bytes)?),
        }
    }

    /// Writes the file and gives its text.
    pub fn write(&self, directory: &DataDirectory) -> io::Result<String> {
        let text = serde_json::to_string_pretty(self)?;
        directory.write(FILE, format!("{text}\n").as_bytes())?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_outlive_the_addresses() {
        let parent = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(parent.path()).unwrap();
        assert_eq!(LocalJson::keys(&directory).unwrap(), None);
        let keys = Keys { operator_key: "o".into(), organization_id: "org_1".into(), organization_key: "k".into() };
        LocalJson { api_url: "http://a".into(), console_url: "http://a".into(), keys: keys.clone() }.write(&directory).unwrap();
        assert_eq!(LocalJson::keys(&directory).unwrap(), Some(keys));
        let text = String::from_utf8(directory.read(FILE).unwrap().unwrap()).unwrap();
        let names = ["api_url", "console_url", "operator_key", "organization_id", "organization_key"];
        let places: Vec<_> = names.iter().map(|name| text.find(name).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
    }
}
