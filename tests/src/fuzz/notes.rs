//! Notes: the same in both byte orders and classes, and nothing but what the segment holds.

use builder::elf::Object;

use crate::elf::{library, machine};

/// The bytes of a note segment, in an object of each class and byte order.
///
/// # Panics
/// When something does not hold that must.
pub fn notes(bytes: &[u8]) {
    let of = |wide, big, number| {
        let object = library("a.so", &[]).for_machine(wide, big, number).raw_notes(bytes).bytes();
        Object::parse(object.as_slice()).expect("only the notes are not ours")
    };
    let object = of(true, false, machine::X86_64);
    let narrow = of(false, false, machine::I386);
    assert_eq!((&object.dlopen, &object.package), (&narrow.dlopen, &narrow.package));
    of(true, true, machine::S390);
    for object in [object, narrow] {
        let names = object.dlopen.iter().map(|feature| feature.sonames.len()).sum::<usize>();
        assert!(names <= bytes.len(), "{names} names in {} bytes", bytes.len());
        if let Some(package) = &object.package {
            assert!(!package.as_bytes().contains(&0));
        }
    }
}
