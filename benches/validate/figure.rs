//! The lines that the bench prints.

/// How much work goes into a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Enough for figures that can be published.
    Full,
    /// Enough to see that everything works.
    Quick,
}

/// What a bench was asked for on its command line.
pub(crate) struct Asked {
    pub(crate) scale: Scale,
    list_only: bool,
    part: Option<String>,
}

impl Asked {
    pub(crate) fn of_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let told = |option: &str| arguments.iter().any(|argument| argument == option);
        // Without `--bench` it is `cargo test` that runs this, and wants to know only whether it works.
        let scale = if told("--test") || !told("--bench") { Scale::Quick } else { Scale::Full };
        let first = arguments.iter().find(|argument| *argument != "--bench");
        let part = first.filter(|argument| !argument.starts_with('-')).cloned();
        Self { scale, list_only: told("--list"), part }
    }

    /// Whether a part is to run. `hit/own`, as criterion names its figures, asks for `hit`; so does `h`.
    pub(crate) fn wants(&self, part: &str) -> bool {
        let begins = |asked: &String| part.starts_with(asked.split('/').next().unwrap_or_default());
        !self.list_only && self.part.as_ref().is_none_or(begins)
    }
}

impl Scale {
    /// This many at full scale, and a hundredth of it, but one at least, to see that it works.
    pub(crate) fn of(self, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Quick => (full / 100).max(1),
        }
    }
}

/// One of two things in units of the other.
pub(crate) fn ratio(name: &str, value: f64) {
    println!("ratio {name} {value:.3}");
}

/// Nanoseconds per operation.
pub(crate) fn ns(name: &str, value: f64) {
    println!("ns {name} {value:.1}");
}

/// Heap allocations per operation.
pub(crate) fn allocs(name: &str, value: f64) {
    println!("allocs {name} {value:.2}");
}

/// Bytes per entry.
pub(crate) fn bytes(name: &str, value: f64) {
    println!("bytes {name} {value:.0}");
}

/// How often something happened.
pub(crate) fn count(name: &str, value: u64) {
    println!("count {name} {value}");
}

/// Milliseconds of the longest of all operations.
pub(crate) fn ms(name: &str, value: f64) {
    println!("ms {name} {value:.2}");
}
