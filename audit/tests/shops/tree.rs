//! A tree of files in memory, or on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use payproof_audit::model::{FileFacts, Finding, Names, Sources};
use payproof_audit::walk::candidate;
use payproof_audit::{Judged, judge, script};

/// Files by their paths.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shop {
    pub(crate) files: BTreeMap<String, String>,
}

impl Shop {
    /// Files with their texts, and what nearly every shop has: `@/` as the root, a database, a client of Stripe's.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let mut shop = Self::default();
        for (path, text) in BASE.iter().chain(files) {
            shop.files.insert((*path).to_owned(), (*text).to_owned());
        }
        shop
    }

    pub(crate) fn read(folder: &Path) -> Self {
        let mut shop = Self::with(&[]);
        shop.add(folder, "");
        shop
    }

    fn add(&mut self, folder: &Path, below: &str) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                self.add(&entry.path(), &format!("{name}/"));
            } else {
                self.files.insert(name, fs::read_to_string(entry.path()).unwrap());
            }
        }
    }

    /// What is found.
    pub(crate) fn judged(&self) -> Judged {
        self.judged_with(&Names::default())
    }

    pub(crate) fn judged_with(&self, names: &Names) -> Judged {
        let sources = Memory::of(self);
        let candidates: Vec<String> = self
            .files
            .iter()
            .filter(|(path, text)| candidate(path, text).is_some())
            .map(|(path, _)| path.clone())
            .collect();
        judge(&sources, &candidates, names).unwrap()
    }

    /// Findings as `high key-missing POST /api/orders`.
    pub(crate) fn said(&self) -> Vec<String> {
        self.judged().findings.iter().map(line).collect()
    }
}

pub(crate) fn line(finding: &Finding) -> String {
    format!("{} {} {} {}", finding.severity, finding.rule, finding.method, finding.route)
}

struct Memory {
    facts: BTreeMap<String, Arc<FileFacts>>,
    texts: BTreeMap<String, Arc<str>>,
}

impl Memory {
    fn of(shop: &Shop) -> Self {
        let facts = thread::scope(|scope| {
            let work = || {
                let scripts = shop.files.iter().filter(|(path, _)| {
                    [".ts", ".tsx", ".js", ".jsx", ".mjs"].iter().any(|ending| path.ends_with(ending))
                });
                scripts.map(|(path, text)| (path.clone(), Arc::new(script::read(path, text)))).collect()
            };
            thread::Builder::new().stack_size(256 << 20).spawn_scoped(scope, work).unwrap().join().unwrap()
        });
        let texts = shop.files.iter().map(|(path, text)| (path.clone(), Arc::from(text.as_str()))).collect();
        Self { facts, texts }
    }
}

impl Sources for Memory {
    fn each_name(&self, tell: &mut dyn FnMut(&str)) {
        self.texts.keys().for_each(|path| tell(path));
    }

    fn exists(&self, path: &str) -> bool {
        self.texts.contains_key(path)
    }

    fn facts(&self, path: &str) -> Option<Arc<FileFacts>> {
        self.facts.get(path).cloned()
    }

    fn text(&self, path: &str) -> Option<Arc<str>> {
        self.texts.get(path).cloned()
    }
}

const BASE: &[(&str, &str)] = &[
    ("tsconfig.json", "{ \"compilerOptions\": { \"baseUrl\": \".\", \"paths\": { \"@/*\": [\"./*\"] } } }"),
    (
        "lib/db.ts",
        "import { PrismaClient } from '@prisma/client'\n\
         const known = globalThis as unknown as { prisma?: PrismaClient }\n\
         export const prisma = known.prisma ?? new PrismaClient()\n",
    ),
    ("lib/stripe.ts", "import Stripe from 'stripe'\nexport const stripe = new Stripe(process.env.STRIPE_KEY!)\n"),
    ("lib/redis.ts", "import { Redis } from '@upstash/redis'\nexport const redis = Redis.fromEnv()\n"),
];
