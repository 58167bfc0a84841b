//! A tree of files in a folder of its own, and runs of the program in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use serde_json::Value;

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A folder that is gone when the test ends.
pub(crate) struct Tree(PathBuf);

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Rule and place of each finding.
    pub(crate) fn findings(&self) -> Vec<String> {
        let json = self.json();
        let of = |finding: &Value| {
            let (rule, path) = (finding["rule"].as_str().unwrap(), finding["path"].as_str().unwrap());
            format!("{rule} {path}:{}", finding["line"])
        };
        json["findings"].as_array().unwrap().iter().map(of).collect()
    }
}

impl Tree {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let name = format!("payproof-audit-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        // The temporary folder may be a link, which names are not told through.
        let tree = Self(fs::canonicalize(std::env::temp_dir()).unwrap().join(name));
        fs::create_dir_all(&tree.0).unwrap();
        for (path, text) in files {
            tree.write(path, text);
        }
        tree
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs the program in the tree.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        run_from(&self.0, arguments)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the program in a folder.
pub(crate) fn run_from(folder: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_payproof-audit"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    let output = command.output().expect("the program was built");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints UTF-8");
    Run {
        code: output.status.code().expect("it ends by itself"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A description with two findings: a medium one and a low one.
pub(crate) const SHOP: &str = "\
openapi: 3.1.0
info: { title: Shop, version: '1' }
paths:
  /orders:
    get:
      responses: {}
    post:
      operationId: createOrder
      responses: {}
  /carts:
    post:
      operationId: createCart
      parameters:
        - { name: Idempotency-Key, in: header, schema: { type: string } }
      responses: {}
";
