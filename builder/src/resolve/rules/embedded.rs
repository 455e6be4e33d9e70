//! The rules that are part of the program, sorted by name.

/// Name and text of each.
pub(super) const RULES: &[(&str, &str)] = &[
    ("ca-certificates", include_str!("../../../../recipes/rules/ca-certificates.toml")),
    ("gconv", include_str!("../../../../recipes/rules/gconv.toml")),
    ("gconv-all", include_str!("../../../../recipes/rules/gconv-all.toml")),
    ("git", include_str!("../../../../recipes/rules/git.toml")),
    ("java", include_str!("../../../../recipes/rules/java.toml")),
    ("libgcc", include_str!("../../../../recipes/rules/libgcc.toml")),
    ("locale", include_str!("../../../../recipes/rules/locale.toml")),
    ("node", include_str!("../../../../recipes/rules/node.toml")),
    ("nss", include_str!("../../../../recipes/rules/nss.toml")),
    ("openssl", include_str!("../../../../recipes/rules/openssl.toml")),
    ("perl", include_str!("../../../../recipes/rules/perl.toml")),
    ("php", include_str!("../../../../recipes/rules/php.toml")),
    ("python", include_str!("../../../../recipes/rules/python.toml")),
    ("resolver", include_str!("../../../../recipes/rules/resolver.toml")),
    ("ruby", include_str!("../../../../recipes/rules/ruby.toml")),
    ("shell", include_str!("../../../../recipes/rules/shell.toml")),
    ("tcl", include_str!("../../../../recipes/rules/tcl.toml")),
    ("tcl-encodings", include_str!("../../../../recipes/rules/tcl-encodings.toml")),
    ("terminfo", include_str!("../../../../recipes/rules/terminfo.toml")),
    ("tzdata", include_str!("../../../../recipes/rules/tzdata.toml")),
];
