//! `local.json`: the addresses and keys of this instance, for people and scripts.

use std::io;

use serde::{Deserialize, Serialize};

use crate::data_directory::DataDirectory;

const FILE: &str = "local.json";

/// The keys that the first start creates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The operator's key, which may do everything in every organization.
    pub operator_key: String,
    /// The organization that the first start creates.
    pub organization_id: String,
    /// An admin key of that organization.
    pub organization_key: String,
}

/// The content of the file. It is rewritten on every start, because the addresses may change.
#[derive(Debug, Serialize)]
pub struct LocalJson {
    /// The address of the API.
    pub api_url: String,
    /// The address of the console.
    pub console_url: String,
    /// The keys of the first start.
    #[serde(flatten)]
    pub keys: Keys,
}

impl LocalJson {
    /// Reads the keys of an earlier start.
    pub fn keys(directory: &DataDirectory) -> io::Result<Option<Keys>> {
        match directory.read(FILE)? {
            None => Ok(None),
            Some(bytes) => Ok(serde_json::from_slice(&bytes)?),
        }
    }

    /// Writes the file and returns its text.
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
        let keys = Keys {
            operator_key: "o".into(),
            organization_id: "org_1".into(),
            organization_key: "k".into(),
        };
        LocalJson {
            api_url: "http://a".into(),
            console_url: "http://a".into(),
            keys: keys.clone(),
        }
        .write(&directory)
        .unwrap();
        assert_eq!(LocalJson::keys(&directory).unwrap(), Some(keys));
        let text = String::from_utf8(directory.read(FILE).unwrap().unwrap()).unwrap();
        let names = [
            "api_url",
            "console_url",
            "operator_key",
            "organization_id",
            "organization_key",
        ];
        let positions: Vec<_> = names.iter().map(|name| text.find(name).unwrap()).collect();
        assert!(positions.is_sorted(), "{text}");
    }
}
