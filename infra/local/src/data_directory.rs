//! The directory of all data, which one process uses at a time and which has a format version.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The format that this build writes. A build that changes the format raises it and still reads
/// earlier ones.
const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "format";
/// Not `lock`, which is the name of the engines' lock file.
const LOCK_FILE: &str = "waybill.lock";

/// A data directory that this process holds until this is dropped or the process ends.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

/// Why a data directory cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A later build wrote the directory.
    #[error(
        "the data directory {path} has format {found}, this waybill knows {FORMAT} at most: use a \
         newer one, or another --data"
    )]
    Newer {
        /// The path of the directory.
        path: String,
        /// The format of the directory.
        found: u32,
    },
    /// The directory contains other files.
    #[error("{0} contains files and is not a data directory of waybill: choose another --data")]
    Foreign(String),
    /// Another process uses the directory.
    #[error(
        "the data directory {0} is in use by another waybill: stop that one, or choose another \
         --data"
    )]
    InUse(String),
    /// The operating system refused access.
    #[error("the data directory {path} cannot be used: {source}")]
    Unusable {
        /// The path of the directory.
        path: String,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl DataDirectory {
    /// Opens and locks the directory. If it does not exist, it is created for its owner only.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let name = path.display().to_string();
        let unusable = |source| DataError::Unusable {
            path: name.clone(),
            source,
        };
        let format = format_of(path).map_err(unusable)?;
        match format {
            Format::Of(found) if found > FORMAT => {
                return Err(DataError::Newer { path: name, found });
            }
            Format::Foreign => return Err(DataError::Foreign(name)),
            Format::Of(_) | Format::New => {}
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(unusable)?;
        // The directory holds keys and payloads, so access for others is removed.
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(unusable)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join(LOCK_FILE))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataError::InUse(name)),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let directory = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        if matches!(format, Format::New) {
            directory
                .write(FORMAT_FILE, format!("{FORMAT}\n").as_bytes())
                .map_err(unusable)?;
        }
        Ok(directory)
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a file of the directory, if it exists.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces a file of the directory atomically, readable for its owner only.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.path.join(format!("{name}.new"));
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(unfinished, self.path.join(name))
    }
}

/// The state of a directory before it is used.
enum Format {
    New,
    Of(u32),
    Foreign,
}

fn format_of(path: &Path) -> io::Result<Format> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Format::New),
        entries => entries?,
    };
    match fs::read_to_string(path.join(FORMAT_FILE)) {
        Ok(text) => Ok(text.trim().parse().map_or(Format::Foreign, Format::Of)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // An interrupted first start leaves these files.
            let ours = |name: &str| name == LOCK_FILE || name == format!("{FORMAT_FILE}.new");
            for entry in entries {
                if !entry?.file_name().to_str().is_some_and(ours) {
                    return Ok(Format::Foreign);
                }
            }
            Ok(Format::New)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_directory_is_its_owners_only_and_opens_again() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        drop(DataDirectory::open(&path).unwrap());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        let directory = DataDirectory::open(&path).unwrap();
        assert_eq!(directory.read("x").unwrap(), None);
        directory.write("x", b"1").unwrap();
        assert_eq!(directory.read("x").unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(
            fs::metadata(path.join("x")).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_directory_that_others_could_read_becomes_its_owners_only() {
        for mode in [0o755, 0o777, 0o750] {
            let path = tempfile::tempdir().unwrap();
            drop(DataDirectory::open(path.path()).unwrap());
            fs::set_permissions(path.path(), fs::Permissions::from_mode(mode)).unwrap();
            drop(DataDirectory::open(path.path()).unwrap());
            assert_eq!(
                fs::metadata(path.path()).unwrap().permissions().mode() & 0o777,
                0o700,
                "{mode:o}"
            );
        }
    }

    #[test]
    fn one_process_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let first = DataDirectory::open(parent.path()).unwrap();
        assert!(matches!(
            DataDirectory::open(parent.path()),
            Err(DataError::InUse(_))
        ));
        drop(first);
        DataDirectory::open(parent.path()).unwrap();
    }

    #[test]
    fn a_directory_of_another_program_is_not_changed() {
        let newer = tempfile::tempdir().unwrap();
        fs::write(newer.path().join(FORMAT_FILE), "2\n").unwrap();
        let error = DataDirectory::open(newer.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("has format 2, this waybill knows 1"),
            "{error}"
        );
        let foreign = tempfile::tempdir().unwrap();
        fs::write(foreign.path().join("thesis.txt"), "").unwrap();
        assert!(matches!(
            DataDirectory::open(foreign.path()),
            Err(DataError::Foreign(_))
        ));
        for directory in [newer, foreign] {
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataDirectory::open(&file.path().join("data")).unwrap_err();
        assert!(matches!(error, DataError::Unusable { .. }), "{error}");
    }
}
