//! The lines that the bench prints.

/// How much work goes into a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Enough for figures that can be published.
    Full,
    /// Enough to see that everything works.
    Quick,
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
