//! The words of a mount's `options` (runtime-spec, config.md "Linux mount options"; mount(8)), in one table: what parses them,
//! what prints a plan, and what says which of them are known.

use super::attributes::{
    ATIME, Change, NOATIME, NODEV, NODIRATIME, NOEXEC, NOSUID, NOSYMFOLLOW, READONLY, STRICTATIME,
};
use super::mount::{Propagation, Spread};

/// What a word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Something of the mount.
    Attribute(Change),
    /// Something of the mount and of all below it.
    AttributeOfAll(Change),
    /// Something of every file system, which is told of it by the same word.
    Superblock,
    /// A copy of a mount, with all below it or without.
    Bind { recursive: bool },
    /// A mount that is there already is changed.
    Remount,
    /// How mounts and unmounts travel.
    Propagation(Spread),
    /// Owners are shown by other ids, of all below or not.
    MapIds { recursive: bool },
    /// A file system in memory starts with what is at its mount point.
    CopyUp,
    /// What holds anyway: the kernel's default, or something that is about messages only.
    Nothing,
}

const fn on(bits: u64) -> Word {
    Word::Attribute(Change::set(bits))
}

const fn off(bits: u64) -> Word {
    Word::Attribute(Change::clear(bits))
}

const fn atime(way: u64) -> Word {
    Word::Attribute(Change::atime(way))
}

const fn all_on(bits: u64) -> Word {
    Word::AttributeOfAll(Change::set(bits))
}

const fn all_off(bits: u64) -> Word {
    Word::AttributeOfAll(Change::clear(bits))
}

const fn all_atime(way: u64) -> Word {
    Word::AttributeOfAll(Change::atime(way))
}

const fn spread(kind: Propagation, recursive: bool) -> Word {
    Word::Propagation(Spread { kind, recursive })
}

/// Every word that is not the file system's own, in the order in which a plan prints them; where several mean the same, the
/// first is printed.
const TABLE: [(&str, Word); 63] = [
    ("ro", on(READONLY)),
    ("rw", off(READONLY)),
    ("nosuid", on(NOSUID)),
    ("suid", off(NOSUID)),
    ("nodev", on(NODEV)),
    ("dev", off(NODEV)),
    ("noexec", on(NOEXEC)),
    ("exec", off(NOEXEC)),
    ("nosymfollow", on(NOSYMFOLLOW)),
    ("symfollow", off(NOSYMFOLLOW)),
    ("nodiratime", on(NODIRATIME)),
    ("diratime", off(NODIRATIME)),
    ("noatime", atime(NOATIME)),
    ("strictatime", atime(STRICTATIME)),
    ("relatime", atime(0)),
    // "Not" one way is the kernel's default, which is relatime since Linux 2.6.30.
    ("atime", atime(0)),
    ("norelatime", atime(0)),
    ("nostrictatime", atime(0)),
    ("rro", all_on(READONLY)),
    ("rrw", all_off(READONLY)),
    ("rnosuid", all_on(NOSUID)),
    ("rsuid", all_off(NOSUID)),
    ("rnodev", all_on(NODEV)),
    ("rdev", all_off(NODEV)),
    ("rnoexec", all_on(NOEXEC)),
    ("rexec", all_off(NOEXEC)),
    ("rnosymfollow", all_on(NOSYMFOLLOW)),
    ("rsymfollow", all_off(NOSYMFOLLOW)),
    ("rnodiratime", all_on(NODIRATIME)),
    ("rdiratime", all_off(NODIRATIME)),
    ("rnoatime", all_atime(NOATIME)),
    ("rstrictatime", all_atime(STRICTATIME)),
    ("rrelatime", all_atime(0)),
    ("ratime", all_atime(0)),
    ("rnorelatime", all_atime(0)),
    ("rnostrictatime", all_atime(0)),
    // fs/fs_context.c, `common_set_sb_flag` and `common_clear_sb_flag`.
    ("sync", Word::Superblock),
    ("async", Word::Superblock),
    ("dirsync", Word::Superblock),
    ("lazytime", Word::Superblock),
    ("nolazytime", Word::Superblock),
    ("mand", Word::Superblock),
    ("nomand", Word::Superblock),
    ("bind", Word::Bind { recursive: false }),
    ("rbind", Word::Bind { recursive: true }),
    ("remount", Word::Remount),
    ("private", spread(Propagation::Private, false)),
    ("rprivate", spread(Propagation::Private, true)),
    ("slave", spread(Propagation::Slave, false)),
    ("rslave", spread(Propagation::Slave, true)),
    ("shared", spread(Propagation::Shared, false)),
    ("rshared", spread(Propagation::Shared, true)),
    ("unbindable", spread(Propagation::Unbindable, false)),
    ("runbindable", spread(Propagation::Unbindable, true)),
    ("idmap", Word::MapIds { recursive: false }),
    ("ridmap", Word::MapIds { recursive: true }),
    ("tmpcopyup", Word::CopyUp),
    ("defaults", Word::Nothing),
    // The kernel says less or more in its log.
    ("silent", Word::Nothing),
    ("loud", Word::Nothing),
    // Counted by every file system that can, since Linux 6.1.
    ("iversion", Word::Nothing),
    ("noiversion", Word::Nothing),
    // Every instance of devpts is a new one since Linux 4.7.
    ("newinstance", Word::Nothing),
];

/// What a word means; `None` for one of a file system's own.
pub(super) fn meaning(word: &str) -> Option<Word> {
    TABLE.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning)
}

/// Every word of a mount's `options` that has a meaning for any mount (`features.mountOptions`). Others go to the file system.
pub fn mount_options() -> Vec<&'static str> {
    let mut all: Vec<&str> = TABLE.iter().map(|(word, _)| *word).collect();
    all.sort_unstable();
    all
}

/// The words that ask for a change.
pub(super) fn words_of(change: Change, of_all: bool) -> impl Iterator<Item = &'static str> {
    let mut atime = change.clear & ATIME != 0;
    TABLE.iter().filter_map(move |(word, meaning)| {
        let one = match meaning {
            Word::Attribute(one) if !of_all => one,
            Word::AttributeOfAll(one) if of_all => one,
            _ => return None,
        };
        if one.clear == ATIME {
            // One way only, the first of its names.
            let it = atime && change.set & ATIME == one.set;
            atime &= !it;
            return it.then_some(*word);
        }
        ((change.set & one.set) | (change.clear & one.clear) != 0).then_some(*word)
    })
}

/// The word for a way in which mounts and unmounts travel.
pub(super) fn word_of(wanted: Spread) -> &'static str {
    let found = TABLE.iter().find(|(_, meaning)| *meaning == Word::Propagation(wanted));
    found.map_or("private", |(word, _)| word)
}

/// A mount's options, sorted by what they mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) attributes: super::Attributes,
    /// Wanted of every file system.
    pub(super) superblock: Vec<&'static str>,
    /// A bind, with all below it or without.
    pub(super) bind: Option<bool>,
    pub(super) remount: bool,
    /// In order.
    pub(super) propagation: Vec<Spread>,
    /// `idmap` (false) or `ridmap` (true).
    pub(super) map_ids: Option<bool>,
    pub(super) copy_up: bool,
    /// The file system's own: a key, and a value unless it is a flag.
    pub(super) rest: Vec<(String, Option<String>)>,
}

impl Options {
    /// Sorts words. One that is several, joined by commas, is taken for several, as mount(2) does.
    pub(super) fn parse(options: &[String]) -> Self {
        let mut all = Self::default();
        for option in options.iter().flat_map(|option| split(option)) {
            all.add(option);
        }
        all
    }

    fn add(&mut self, option: &str) {
        let Some((word, meaning)) = TABLE.iter().find(|(known, _)| *known == option) else {
            self.rest.push(match option.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(unquoted(key, value).to_owned())),
                None => (option.to_owned(), None),
            });
            return;
        };
        match *meaning {
            Word::Attribute(change) => self.attributes.own = self.attributes.own.and(change),
            Word::AttributeOfAll(change) => self.attributes.all = self.attributes.all.and(change),
            Word::Superblock => self.superblock.push(word),
            Word::Bind { recursive } => {
                self.bind = Some(recursive || self.bind.unwrap_or(false));
            }
            Word::Remount => self.remount = true,
            Word::Propagation(spread) => self.propagation.push(spread),
            Word::MapIds { recursive } => self.map_ids = Some(recursive),
            Word::CopyUp => self.copy_up = true,
            Word::Nothing => {}
        }
    }
}

/// At commas that are neither quoted nor escaped: security contexts have them within quotes, overlayfs' paths behind a
/// backslash.
fn split(option: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    option
        .split(move |c| {
            let comma = c == ',' && !quoted && !escaped;
            quoted ^= c == '"';
            escaped = c == '\\' && !escaped;
            comma
        })
        .filter(|word| !word.is_empty())
}

/// A security context without the quotes that mount(8) wants around it; fsconfig(2) takes it bare.
fn unquoted<'a>(key: &str, value: &'a str) -> &'a str {
    let bare = || value.strip_prefix('"')?.strip_suffix('"');
    if key.ends_with("context") { bare().unwrap_or(value) } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(options: &[&str]) -> Options {
        Options::parse(&options.iter().map(|&option| option.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn every_word_stands_in_the_table_once() {
        let all = mount_options();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "{all:?}");
        // runtime-spec 1.3, config.md, "Linux mount options", all of them.
        for word in "async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime nodev nodiratime noexec \
                     noiversion nolazytime norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime \
                     relatime remount rexec rnoatime rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro \
                     rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared silent slave \
                     strictatime suid symfollow sync tmpcopyup unbindable mand nomand idmap ridmap rnodev"
            .split_whitespace()
        {
            assert!(meaning(word).is_some(), "{word}");
        }
    }

    #[test]
    fn words_are_sorted_by_what_they_mean() {
        let all =
            parsed(&["rbind", "ro", "rslave", "shared", "sync", "size=1m,mode=755", "ridmap"]);
        assert_eq!(all.bind, Some(true));
        assert!(all.attributes.readonly());
        let spreads: Vec<_> = all.propagation.iter().map(|&one| word_of(one)).collect();
        assert_eq!(spreads, ["rslave", "shared"]);
        assert_eq!(all.superblock, ["sync"]);
        assert_eq!(all.map_ids, Some(true));
        let rest = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        assert_eq!(all.rest, [rest("size", "1m"), rest("mode", "755")]);
        assert_eq!(parsed(&["rbind", "bind"]).bind, Some(true), "the wider one");
        assert_eq!(parsed(&["defaults", "silent", "", "newinstance"]), Options::default());
    }

    #[test]
    fn values_keep_their_commas() {
        let rest = |key: &str, value: &str| vec![(key.to_owned(), Some(value.to_owned()))];
        let context = "context=\"system_u:object_r:container_file_t:s0:c1,c2\"";
        assert_eq!(
            parsed(&[context]).rest,
            rest("context", "system_u:object_r:container_file_t:s0:c1,c2")
        );
        assert_eq!(parsed(&["lowerdir=/a\\,b"]).rest, rest("lowerdir", "/a\\,b"));
        assert_eq!(parsed(&["fsname=\"x\""]).rest, rest("fsname", "\"x\""));
    }
}
