//! Which extensions a source of php uses, by the names of functions and classes in it, and by what
//! `composer.json` requires.
//!
//! PHP has no imports of extensions: a call of `mb_strlen` is one. The table has what php.net's manual lists as
//! an extension's functions and classes. What is not in the table is asked for by name.

use std::collections::BTreeSet;

use crate::resolve::modules::text::{import, word_at, words};
use crate::resolve::modules::{Import, When};

/// Begins of names, in lower case, and the extension that has them.
const BEGINS: [(&str, &str); 49] = [
    ("apcu_", "apcu"),
    ("bcadd", "bcmath"),
    ("bccomp", "bcmath"),
    ("bcdiv", "bcmath"),
    ("bcmod", "bcmath"),
    ("bcmul", "bcmath"),
    ("bcpow", "bcmath"),
    ("bcscale", "bcmath"),
    ("bcsqrt", "bcmath"),
    ("bcsub", "bcmath"),
    ("cal_", "calendar"),
    ("ctype_", "ctype"),
    ("curl", "curl"),
    ("dom", "dom"),
    ("easter_", "calendar"),
    ("exif_", "exif"),
    ("finfo", "fileinfo"),
    ("ftp_", "ftp"),
    ("gmp", "gmp"),
    ("grapheme_", "intl"),
    ("iconv", "iconv"),
    ("idn_to_", "intl"),
    ("image", "gd"),
    ("imagick", "imagick"),
    ("intl", "intl"),
    ("ldap_", "ldap"),
    ("mb_", "mbstring"),
    ("memcached", "memcached"),
    ("msg_", "sysvmsg"),
    ("mysqli", "mysqli"),
    ("numberformatter", "intl"),
    ("opcache_", "opcache"),
    ("pdo", "pdo"),
    ("pg_", "pgsql"),
    ("phar", "phar"),
    ("posix_", "posix"),
    ("readline", "readline"),
    ("redis", "redis"),
    ("sem_", "sysvsem"),
    ("shm_", "sysvshm"),
    ("shmop_", "shmop"),
    ("simplexml", "simplexml"),
    ("soap", "soap"),
    ("socket_", "sockets"),
    ("sqlite3", "sqlite3"),
    ("xml_", "xml"),
    ("xmlreader", "xmlreader"),
    ("xmlwriter", "xmlwriter"),
    ("xslt", "xsl"),
];

/// Whole names, in lower case, and the extension that has them.
const NAMES: [(&str, &str); 22] = [
    ("bindtextdomain", "gettext"),
    ("collator", "intl"),
    ("dcgettext", "gettext"),
    ("dgettext", "gettext"),
    ("ffi", "ffi"),
    ("ftok", "sysvsem"),
    ("gd_info", "gd"),
    ("gettext", "gettext"),
    ("gregoriantojd", "calendar"),
    ("jdtogregorian", "calendar"),
    ("locale", "intl"),
    ("messageformatter", "intl"),
    ("mime_content_type", "fileinfo"),
    ("ngettext", "gettext"),
    ("normalizer", "intl"),
    ("phptoken", "tokenizer"),
    ("textdomain", "gettext"),
    ("token_get_all", "tokenizer"),
    ("token_name", "tokenizer"),
    ("transliterator", "intl"),
    ("zip_open", "zip"),
    ("ziparchive", "zip"),
];

/// Begins of data source names.
const DRIVERS: [(&[u8], &str); 4] = [
    (b"sqlite:", "pdo_sqlite"),
    (b"mysql:", "pdo_mysql"),
    (b"pgsql:", "pdo_pgsql"),
    (b"odbc:", "pdo_odbc"),
];

/// Extensions, each once. None is needed: php may have it built in, and the table may be wrong.
pub(super) fn imports(text: &[u8]) -> Vec<Import> {
    let mut found = BTreeSet::new();
    for (before, word, after) in words(text) {
        let word = String::from_utf8_lossy(word).to_lowercase();
        // Variables, methods and members.
        if before.ends_with(b"$") || before.ends_with(b"->") || before.ends_with(b"::") {
            continue;
        }
        let begins = BEGINS.iter().filter(|(begin, _)| word.starts_with(begin));
        let names = NAMES.iter().filter(|(name, _)| word == *name);
        found.extend(begins.chain(names).map(|(_, extension)| (*extension).to_owned()));
        if let [b'-', rest @ ..] = after
            && word == "ext"
        {
            // `"ext-mbstring": "*"`
            let name = word_at(rest);
            found.extend(std::str::from_utf8(name).ok().map(str::to_owned));
        }
    }
    for (begin, extension) in DRIVERS {
        if text
            .windows(begin.len() + 1)
            .any(|window| matches!(window.first(), Some(b'"' | b'\'')) && window.ends_with(begin))
        {
            found.insert(extension.to_owned());
        }
    }
    found
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(|name| import(name, When::Maybe))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_known_by_their_functions_and_classes() {
        for (text, wanted) in [
            ("<?php echo mb_strlen('a');", "mbstring"),
            ("<?php $x = new \\DOMDocument(); $d = new PDO('sqlite:/a');", "dom pdo pdo_sqlite"),
            ("<?php $mb_x = $this->curl_init; Foo::gmp();", ""),
            (
                "{\"require\": {\"php\": \">=8\", \"ext-intl\": \"*\", \"ext-json\": \"*\"}}",
                "intl json",
            ),
            ("<?php ext-", ""),
            ("<?php Collator::create('de'); strlen('x');", "intl"),
            ("\"", ""),
        ] {
            let found: Vec<String> =
                imports(text.as_bytes()).into_iter().map(|import| import.name).collect();
            assert_eq!(found.join(" "), wanted, "{text}");
        }
    }
}
