//! `Plan`: which entry stands at which path of the image, from where, and why. Pure data.
//!
//! Decides destinations, links, folders and configuration from what earlier stages found out; reads
//! nothing and writes nothing. Refuses to know contents: a file's bytes are named by their source.
//!
//! ```text
//! ImageSpec + Gathered + Survey -> Plan
//! survey    what the root says about each path (the only file here that looks)
//! place     where a program from outside the system folders goes; links on the way
//! conflict  two sources for one path
//! settle    what lies behind links
//! exclude   what a person leaves out by pattern
//! exposed   what is less private in the image than in the root
//! min       what no run used
//! always    what every image has: /tmp, mount points, users
//! cache     the ld.so.cache that an image needs, if it needs one
//! lists     lists of modules, which list what the image has
//! regional  locales and time zones
//! why       provenance
//! chains    the ways from an entry to who asked for it
//! ```

use std::collections::BTreeMap;

use common::tree::ImagePath;
use serde::Serialize;

mod always;
mod cache;
pub mod chains;
mod config;
mod conflict;
mod error;
mod exclude;
mod exposed;
mod lists;
mod min;
mod place;
mod recipe_files;
mod regional;
mod settle;
mod survey;
mod users;
mod why;

pub use cache::CacheEntry;
pub use config::Configuration;
pub use error::PlanError;
pub use survey::{Fact, Survey, SurveyError, survey};
pub use users::User;
pub use why::{Found, Why};

use crate::elf::Name;
use crate::resolve::gather::Gathered;
use crate::resolve::ship::{Added, Part};
use crate::resolve::{Asked, Relation};
use crate::spec::ImageSpec;
use crate::spec::least::{Exclude, Strip};
use conflict::{Draft, Rank};
use place::Placement;

/// One image, decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What stands where.
    pub entries: BTreeMap<ImagePath, Entry>,
    /// How the image runs.
    pub config: Configuration,
    /// What rules or the recipe would bring, and a person left out; sorted.
    pub left_out: Vec<LeftOut>,
}

/// A path that was left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LeftOut {
    /// Where it would be.
    pub path: ImagePath,
    /// The pattern that covers it; `None`: no run used it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

/// What stands at a path, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What.
    #[serde(flatten)]
    pub node: Node,
    /// Every reason, sorted.
    pub why: Vec<Why>,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Node {
    /// A folder.
    Folder {
        /// Permission bits.
        mode: u32,
    },
    /// A folder of data: it belongs to who runs the image, who could not write there otherwise.
    Volume {
        /// Permission bits.
        mode: u32,
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
    /// A regular file.
    File {
        /// Permission bits.
        mode: u32,
        /// Where its bytes come from.
        source: Source,
    },
    /// A symbolic link.
    Link {
        /// What it says.
        target: Name,
    },
    /// Another name of a file.
    HardLink {
        /// The first name, which sorts before.
        target: ImagePath,
    },
}

/// Where a file's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Source {
    /// A file of the root, all links resolved.
    Root {
        /// Its path.
        path: ImagePath,
        /// Bytes.
        size: u64,
    },
    /// Bytes of a file of the root.
    Part {
        /// Its path, all links resolved.
        path: ImagePath,
        /// Bytes before them.
        offset: u64,
        /// Bytes.
        size: u64,
    },
    /// A file of the recipe's folder.
    Context {
        /// Its path, relative.
        path: Name,
        /// Bytes.
        size: u64,
    },
    /// Made for this image.
    Generated {
        /// What.
        what: Generated,
    },
    /// An ELF file, without sections that no loader maps.
    Stripped {
        /// The whole file.
        of: Box<Source>,
        /// Bytes that are left.
        size: u64,
        /// What is left out.
        how: Strip,
    },
}

/// A file that is made for an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "content", rename_all = "kebab-case")]
pub enum Generated {
    /// `/etc/passwd` with root, nobody and this user.
    Passwd {
        /// Who runs the image.
        user: User,
    },
    /// `/etc/group` for the same.
    Group {
        /// Who runs the image.
        user: User,
    },
    /// `/etc/hosts` with the loopback addresses.
    Hosts,
    /// No bytes: something to mount on.
    Empty,
    /// `/etc/ld.so.cache` in the new format.
    LdSoCache {
        /// What it lists.
        entries: Vec<CacheEntry>,
    },
    /// A list of modules, those that the image has.
    ModuleList {
        /// What stands in it.
        parts: Vec<Part>,
    },
    /// Text that a rule gives.
    Text {
        /// The text.
        text: String,
    },
}

/// Decides the image.
pub fn plan(spec: &ImageSpec, gathered: &Gathered, survey: &Survey) -> Result<Plan, PlanError> {
    let placement = Placement::new(gathered, survey)?;
    let user = users::resolve(spec.run.user.as_ref(), survey)?;
    let mut draft = Draft::default();
    always::add(&mut draft, spec, &user)?;
    programs(&mut draft, gathered, survey, &placement)?;
    additions(&mut draft, gathered, survey, &placement)?;
    regional::add(&mut draft, gathered, survey, &placement)?;
    recipe_files::add(&mut draft, spec, survey)?;
    cache::add(&mut draft, gathered)?;
    draft.settle(survey)?;
    let left_out = leave_out(&mut draft, spec, gathered)?;
    let mut entries = draft.finish()?;
    // Last: whatever takes entries away stands before it.
    lists::settle(&mut entries);
    let config = config::configuration(spec, gathered, &placement, &user)?;
    Ok(Plan { entries, config, left_out })
}

/// What a person does not want: paths that match a pattern, or that no run used.
fn leave_out(
    draft: &mut Draft,
    spec: &ImageSpec,
    gathered: &Gathered,
) -> Result<Vec<LeftOut>, PlanError> {
    let patterns = &spec.least.exclude;
    let mut left_out: Vec<LeftOut> = gathered
        .unwanted
        .iter()
        .map(|path| {
            let pattern = patterns.iter().find(|pattern| pattern.covers(path));
            let pattern = pattern.map(|pattern| pattern.as_str().to_owned());
            LeftOut { path: path.clone(), pattern }
        })
        .collect();
    exclude::exclude(draft, patterns, &mut left_out)?;
    if let Some(used) = &spec.least.used {
        min::leave_out(draft, used, &mut left_out);
    }
    left_out.sort();
    left_out.dedup();
    Ok(left_out)
}

/// What a person should know of a plan: patterns of the recipe that leave nothing out, and files that are
/// less private than they were.
pub fn warnings(spec: &ImageSpec, plan: &Plan, survey: &Survey) -> Vec<String> {
    let idle = |pattern: &Exclude| format!("`{}` leaves nothing out", pattern.as_str());
    let idle = exclude::idle(&spec.least.exclude, &plan.left_out).map(idle);
    idle.chain(exposed::warning(&plan.entries, survey)).collect()
}

/// What was asked for and what the loader loads.
fn programs(
    draft: &mut Draft,
    gathered: &Gathered,
    survey: &Survey,
    placement: &Placement,
) -> Result<(), PlanError> {
    let reasons = why::reasons(gathered, placement);
    for path in gathered.closure.files() {
        let whys = reasons.get(path).cloned().unwrap_or_default();
        draft.root_path(survey, path, placement, Rank::Closure, &whys)?;
    }
    for program in gathered.programs.iter().chain(gathered.closure.programs.iter().map(|p| &p.path))
    {
        draft.root_path(survey, program, placement, Rank::Closure, &[])?;
    }
    for program in &gathered.closure.programs {
        for load in &program.loads {
            let Ok(opened) = ImagePath::new(load.opened.as_bytes()) else { continue };
            draft.root_path(survey, &opened, placement, Rank::Closure, &[])?;
        }
    }
    for (path, link) in &gathered.closure.links {
        if placement.is_moved_away(path) {
            continue;
        }
        let node = Node::Link { target: link.target.clone() };
        draft.put(path.clone(), node, Rank::Closure, &[Why::OnTheWay])?;
    }
    for folder in &gathered.closure.folders {
        draft.put(folder.clone(), Node::Folder { mode: 0o755 }, Rank::Closure, &[Why::OnTheWay])?;
    }
    Ok(())
}

/// What rules add besides objects.
fn additions(
    draft: &mut Draft,
    gathered: &Gathered,
    survey: &Survey,
    placement: &Placement,
) -> Result<(), PlanError> {
    for addition in &gathered.additions {
        let whys = [Why::of_rule(&addition.because, placement)];
        let made = match &addition.what {
            Added::Copy => {
                draft.root_path(survey, &addition.path, placement, Rank::Rule, &whys)?;
                continue;
            }
            Added::Folder => Node::Folder { mode: 0o755 },
            Added::Generated(bytes) => Node::File {
                mode: 0o644,
                source: Source::Generated {
                    what: Generated::Text { text: String::from_utf8_lossy(bytes).into_owned() },
                },
            },
            Added::List(parts) => {
                let what = Generated::ModuleList { parts: parts.clone() };
                Node::File { mode: 0o644, source: Source::Generated { what } }
            }
        };
        draft.put(addition.path.clone(), made, Rank::Rule, &whys)?;
    }
    Ok(())
}

/// Whether a request came from a person.
fn asked(request: &Asked) -> bool {
    request.1.is_none()
}

/// Whether a relation is one that a request makes.
fn is_root(relation: Relation) -> bool {
    matches!(relation, Relation::Program | Relation::Module)
}
