//! The cursor against known octets, and against every short buffer.

use proptest::prelude::*;
use tollwire_wire::{Reader, ShortBuffer, Writer};

#[test]
fn integers_are_in_network_byte_order() {
    let mut writer = Writer::new();
    writer.u8(0x01);
    writer.u16(0x0203);
    writer.u24(0x0004_0506);
    writer.u32(0x0708_090a);
    writer.u64(0x0b0c_0d0e_0f10_1112);
    let octets: Vec<u8> = (1..=0x12).collect();
    assert_eq!(writer.as_slice(), octets);

    let mut reader = Reader::new(&octets);
    assert_eq!(reader.u8(), Ok(0x01));
    assert_eq!(reader.u16(), Ok(0x0203));
    assert_eq!(reader.u24(), Ok(0x0004_0506));
    assert_eq!(reader.u32(), Ok(0x0708_090a));
    assert_eq!(reader.u64(), Ok(0x0b0c_0d0e_0f10_1112));
    assert!(reader.is_empty());
}

#[test]
fn a_short_read_names_the_octet_and_moves_nothing() {
    let mut outer = Reader::new(&[0, 0, 9, 8, 7]);
    outer.skip(2).unwrap();
    let mut inner = outer.sub(2).unwrap();
    assert_eq!(inner.u8(), Ok(9));
    assert_eq!(
        inner.u32(),
        Err(ShortBuffer {
            offset: 3,
            needed: 4,
            available: 1
        })
    );
    assert_eq!(inner.rest(), [8]);
    assert_eq!(outer.position(), 4);
    assert_eq!(outer.rest(), [7]);
}

#[test]
fn a_patch_outside_what_was_written_changes_nothing() {
    let mut writer = Writer::new();
    writer.u32(0);
    writer.patch_u24(1, 0x00aa_bbcc);
    writer.patch_u32(1, 0xffff_ffff);
    writer.patch_u16(usize::MAX, 0xffff);
    assert_eq!(writer.into_vec(), [0, 0xaa, 0xbb, 0xcc]);
}

proptest! {
    #[test]
    fn take_gives_exactly_what_is_there(octets: Vec<u8>, count in 0usize..64) {
        let mut reader = Reader::new(&octets);
        match reader.take(count) {
            Ok(taken) => prop_assert_eq!(taken, &octets[..count]),
            Err(short) => {
                prop_assert!(count > octets.len());
                prop_assert_eq!(short.available, octets.len());
                prop_assert_eq!(reader.remaining(), octets.len());
            }
        }
    }
}
