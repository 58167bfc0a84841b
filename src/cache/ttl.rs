//! Lifetimes that services agree on.

use std::time::Duration;

/// A minute: what changes often and is cheap to be wrong about for that long.
pub const SHORT: Duration = Duration::from_secs(60);

/// Five minutes: lists and dashboards.
pub const MEDIUM: Duration = Duration::from_secs(300);

/// Half an hour: sessions and permissions.
pub const LONG: Duration = Duration::from_secs(1_800);

/// An hour: rules and settings.
pub const HOUR: Duration = Duration::from_secs(3_600);

/// A day: what is published once a day, such as rates.
pub const DAY: Duration = Duration::from_secs(86_400);
