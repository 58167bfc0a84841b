//! Files that are there whole or as they were before.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::trouble::Trouble;

/// Writes a file beside the one of this name, and puts it in its place once it is whole: what reads the file meanwhile, such as a
/// collector of metrics, never sees half of it.
pub(crate) fn write(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Trouble> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // A name that collectors of `*.prom` pass over, and of this process alone.
    name.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(name);
    let written = File::create(&partial).and_then(|file| {
        let mut file = BufWriter::new(file);
        content(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    });
    written.and_then(|()| fs::rename(&partial, path)).map_err(|error| {
        let _ = fs::remove_file(&partial);
        Trouble::because(&format!("{} cannot be written; look at its folder", path.display()), &error)
    })
}
