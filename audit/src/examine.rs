//! The audit from start to end.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread;

use crate::baseline::Baseline;
use crate::library::{Library, Progress};
use crate::report::Report;
use crate::settings::{self, Settings, SettingsError};
use crate::walk::{FileTree, Limits, WalkError};
use crate::{allow, judge};

/// Handlers are followed through functions in functions, each of which may be nested.
const STACK: usize = 256 << 20;

/// What to audit, and what is known of it.
#[derive(Debug, Clone, Default)]
pub struct Examination {
    /// Folders and files.
    pub paths: Vec<PathBuf>,
    /// The configuration; by default `payproof-audit.json` of the tree, if it has one.
    pub settings: Option<Settings>,
    /// Whether DELETE needs an idempotency key too, whatever the configuration says.
    pub delete: bool,
    /// Findings that are known.
    pub baseline: Option<Baseline>,
    /// How much is looked at.
    pub limits: Limits,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// What was to be audited cannot be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The configuration cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The system gives no threads.
    #[error("no threads can be started ({0}); raise the limit")]
    Threads(#[from] io::Error),
    /// The audit itself failed.
    #[error("the audit met something that it was not made for, and stopped; please report it")]
    Failed,
}

/// Audits a tree. `progress` is told how many files were listed, and then how many were read, from several threads.
///
/// # Errors
/// If a path cannot be read, or the tree's configuration cannot be used.
pub fn examine(examination: &Examination, progress: &(dyn Fn(Progress) + Sync)) -> Result<Report, ExamineError> {
    let mut listed = |done| progress(Progress { done, of: None });
    let tree = FileTree::walk(&examination.paths, examination.limits, &mut listed)?;
    let mut settings = match &examination.settings {
        Some(settings) => settings.clone(),
        None => own_settings(&tree, &examination.paths)?,
    };
    settings.names.delete |= examination.delete;
    let work = || examine_tree(&tree, &settings, examination.baseline.as_ref(), progress);
    thread::scope(|scope| {
        let worker = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work)?;
        worker.join().map_err(|_| ExamineError::Failed)?
    })
}

fn examine_tree(
    tree: &FileTree,
    settings: &Settings,
    baseline: Option<&Baseline>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report, ExamineError> {
    let library = Library::new(tree);
    let shelf = library.candidates(&settings.names, progress)?;
    let judged = judge(&library, &shelf.candidates, &settings.names)?;
    let (mut routes, mut findings) = (judged.routes, judged.findings);
    let mut comments = library.comments();
    for (name, described) in shelf.described {
        routes.extend(described.routes);
        findings.extend(described.findings);
        comments.insert(name, described.comments);
    }
    settings.apply(&mut findings);
    let allowed = allow::apply(&mut findings, &comments, &settings.off);
    findings.sort_by(|one, other| one.place().cmp(&other.place()));
    Ok(Report::new(tree, &library, routes, findings, allowed, baseline))
}

/// `payproof-audit.json` of the folder from which names are told, or of the first path.
fn own_settings(tree: &FileTree, paths: &[PathBuf]) -> Result<Settings, ExamineError> {
    let folders = paths.iter().filter(|path| path.is_dir()).cloned();
    for folder in std::iter::once(tree.base().to_owned()).chain(folders) {
        let file = folder.join(settings::FILE);
        let is_file = fs::symlink_metadata(&file).is_ok_and(|found| found.is_file());
        if is_file {
            let text = crate::walk::text(&file, Limits::default().file_bytes)
                .map_err(|why| SettingsError::Malformed { path: settings::FILE.to_owned(), why: why.to_string() })?;
            return Ok(Settings::parse(settings::FILE, &text)?);
        }
    }
    Ok(Settings::default())
}
