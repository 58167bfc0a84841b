//! A certificate authority of a test's own, and a certificate from it for a server on this machine.
#![allow(dead_code, reason = "each test binary uses its own share")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Files in a folder of the test's own, which goes with it.
#[derive(Debug)]
pub(crate) struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes an authority, and a certificate for `localhost` and 127.0.0.1, in this folder.
    pub(crate) fn make(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        std::fs::create_dir_all(&folder).expect("the folder cannot be made");
        let extensions = "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n";
        std::fs::write(folder.join("extensions"), extensions).expect("the folder cannot be written");
        let key = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&folder, &format!("{key} -x509 -days 2 -subj /CN=authority -keyout ca.key -out ca.pem"));
        openssl(&folder, &format!("{key} -subj /CN=localhost -keyout server.key -out server.csr"));
        let sign = "x509 -req -days 2 -CA ca.pem -CAkey ca.key -CAcreateserial -extfile extensions";
        openssl(&folder, &format!("{sign} -in server.csr -out server.pem"));
        Self { folder }
    }

    /// The authority's certificate, as PEM.
    pub(crate) fn authority(&self) -> Vec<u8> {
        std::fs::read(self.authority_file()).expect("the authority's certificate is gone")
    }

    pub(crate) fn authority_file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    pub(crate) fn certificate_file(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.join("server.key")
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let run = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
    let run = run.expect("openssl is missing; run scripts/setup-tests, or: sudo apt-get install openssl");
    assert!(run.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&run.stderr));
}
