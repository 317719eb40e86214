//! What the lines of an invoice are for.

use crate::judge::WinKind;
use std::fmt;

/// What a line of an invoice is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// Outcomes of an action.
    Outcomes {
        /// What kind of outcome.
        action: String,
        /// Confirmed or assumed.
        win: WinKind,
    },
    /// A fee.
    Fee {
        /// Its name.
        name: String,
    },
    /// Assumed outcomes beyond their share of the bill: taken off.
    AssumedBeyondShare,
    /// The discount: taken off.
    Discount,
    /// What is missing to the minimum.
    Minimum,
    /// Outcomes beyond the cap: taken off.
    BeyondCap,
    /// What the models of an action's attempts cost.
    ModelCost {
        /// The action.
        action: String,
    },
    /// The mark-up on it.
    MarkUp {
        /// The action.
        action: String,
    },
    /// What prepaid credits pay: taken off.
    Credits {
        /// The grant's id.
        grant: String,
    },
}

impl Item {
    /// The stored name of what sort it is.
    pub fn sort(&self) -> &'static str {
        match self {
            Self::Outcomes { .. } => "outcomes",
            Self::Fee { .. } => "fee",
            Self::AssumedBeyondShare => "assumed_beyond_share",
            Self::Discount => "discount",
            Self::Minimum => "minimum",
            Self::BeyondCap => "beyond_cap",
            Self::ModelCost { .. } => "model_cost",
            Self::MarkUp { .. } => "mark_up",
            Self::Credits { .. } => "credits",
        }
    }

    /// The action, the name of the fee, or the id of the grant.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Outcomes { action, .. } | Self::ModelCost { action } | Self::MarkUp { action } => {
                Some(action)
            }
            Self::Fee { name } => Some(name),
            Self::Credits { grant } => Some(grant),
            _ => None,
        }
    }

    /// Confirmed or assumed, where it is outcomes.
    pub fn win(&self) -> Option<WinKind> {
        match self {
            Self::Outcomes { win, .. } => Some(*win),
            _ => None,
        }
    }

    /// Reads an item from its parts.
    pub fn parse(sort: &str, name: &str, win: &str) -> Option<Self> {
        Some(match sort {
            "outcomes" => Self::Outcomes { action: name.into(), win: WinKind::parse(win)? },
            "fee" => Self::Fee { name: name.into() },
            "assumed_beyond_share" => Self::AssumedBeyondShare,
            "discount" => Self::Discount,
            "minimum" => Self::Minimum,
            "beyond_cap" => Self::BeyondCap,
            "model_cost" => Self::ModelCost { action: name.into() },
            "mark_up" => Self::MarkUp { action: name.into() },
            "credits" => Self::Credits { grant: name.into() },
            _ => return None,
        })
    }
}

impl fmt::Display for Item {
    /// As it stands on an invoice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcomes { action, win } => write!(f, "{action}, {}", win.as_str()),
            Self::Fee { name } => f.write_str(name),
            Self::AssumedBeyondShare => f.write_str("Assumed outcomes beyond their share"),
            Self::Discount => f.write_str("Discount"),
            Self::Minimum => f.write_str("Minimum commitment"),
            Self::BeyondCap => f.write_str("Outcomes beyond the cap"),
            Self::ModelCost { action } => write!(f, "{action}, model cost"),
            Self::MarkUp { action } => write!(f, "{action}, mark-up"),
            Self::Credits { grant } => write!(f, "Prepaid credits {grant}"),
        }
    }
}
