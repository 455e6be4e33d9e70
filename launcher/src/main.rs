//! The program `paddle`.

fn main() {}
