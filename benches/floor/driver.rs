//! A responder in the place of a network card's driver (XDP): a reply is made of the query's own frame before the kernel makes a
//! packet of it, and leaves at once. It costs its core a fraction of what any client pays, and so limits none.
//!
//! It sends no trains, as it knows none. The test entry, and whatever is no query for the port, goes on to the sockets. The program
//! is written down here as the kernel reads it (RFC 9669): no compiler is needed, and it goes when the process that holds it ends.
//! UDP checksums are carried over (RFC 1624), so that the client must fill them in before its device: `ethtool -K DEV tx off`.

use std::ffi::CString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::TEST_ENTRY;

/// Where things are in an Ethernet frame with IPv4 without options, UDP and DNS.
mod at {
    pub(super) const ETHER_TO: i16 = 0;
    pub(super) const ETHER_FROM: i16 = 6;
    pub(super) const ETHER_TYPE: i16 = 12;
    pub(super) const VERSION: i16 = 14;
    pub(super) const PROTOCOL: i16 = 23;
    pub(super) const FROM: i16 = 26;
    pub(super) const TO: i16 = 30;
    pub(super) const PORT_FROM: i16 = 34;
    pub(super) const PORT_TO: i16 = 36;
    pub(super) const CHECKSUM: i16 = 40;
    pub(super) const FLAGS: i16 = 44;
    pub(super) const NAME: i16 = 54;
    /// A frame must reach so far.
    pub(super) const END: i32 = 64;
}

/// One instruction, as the kernel reads it: operation, registers, offset, constant.
#[repr(C)]
#[derive(Clone, Copy)]
struct Instruction {
    operation: u8,
    registers: u8,
    offset: i16,
    constant: i32,
}

/// What a jump that is not yet known leads to.
#[derive(Clone, Copy, PartialEq)]
enum Label {
    Pass,
    Reply,
    Unsummed,
    Summed,
}

/// Collects instructions, and fills in where jumps lead to.
#[derive(Default)]
struct Program {
    instructions: Vec<Instruction>,
    jumps: Vec<(usize, Label)>,
}

#[derive(Clone, Copy)]
enum Size {
    Word = 0x00,
    Half = 0x08,
    Octet = 0x10,
    Double = 0x18,
}

impl Program {
    fn push(&mut self, operation: u8, (to, from): (u8, u8), offset: i16, constant: i32) {
        self.instructions.push(Instruction {
            operation,
            registers: from << 4 | to,
            offset,
            constant,
        });
    }

    /// `to = *(from + offset)`
    fn load(&mut self, size: Size, to: u8, from: u8, offset: i16) {
        self.push(0x61 | size as u8, (to, from), offset, 0);
    }

    /// `*(to + offset) = from`
    fn store(&mut self, size: Size, to: u8, offset: i16, from: u8) {
        self.push(0x63 | size as u8, (to, from), offset, 0);
    }

    /// Exchanges two fields of the frame (register 6).
    fn swap(&mut self, size: Size, one: i16, other: i16) {
        self.load(size, 2, 6, one);
        self.load(size, 3, 6, other);
        self.store(size, 6, one, 3);
        self.store(size, 6, other, 2);
    }

    fn jump(&mut self, operation: u8, registers: (u8, u8), constant: i32, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.push(operation, registers, 0, constant);
    }

    fn label(&mut self, label: Label) {
        let here = self.instructions.len();
        for (from, _) in self.jumps.iter().filter(|(_, to)| *to == label) {
            self.instructions[*from].offset = (here - from - 1) as i16;
        }
    }
}

// Operations on 64 bits: with a constant, or with a register.
const SET: u8 = 0xb7;
const COPY: u8 = 0xbf;
const ADD: u8 = 0x07;
const ADD_REGISTER: u8 = 0x0f;
const AND: u8 = 0x57;
const OR: u8 = 0x47;
const XOR: u8 = 0xa7;
const SHIFT_RIGHT: u8 = 0x77;
const IF_EQUAL: u8 = 0x15;
const UNLESS_EQUAL: u8 = 0x55;
const UNLESS_EQUAL_REGISTER: u8 = 0x5d;
const IF_ABOVE_REGISTER: u8 = 0x2d;
const LONG_CONSTANT: u8 = 0x18;
const EXIT: u8 = 0x95;

const XDP_PASS: i32 = 2;
const XDP_TX: i32 = 3;

/// The program for a port. Constants of the wire stand in the order in which this machine reads them.
fn program(port: u16) -> Vec<Instruction> {
    let wire = |octets: [u8; 2]| i32::from(u16::from_ne_bytes(octets));
    let mut p = Program::default();
    // 6 = start, 7 = end of the frame.
    p.load(Size::Word, 6, 1, 0);
    p.load(Size::Word, 7, 1, 4);
    p.push(COPY, (2, 6), 0, 0);
    p.push(ADD, (2, 0), 0, at::END);
    p.jump(IF_ABOVE_REGISTER, (2, 7), 0, Label::Pass);
    for (size, offset, wanted) in [
        (Size::Half, at::ETHER_TYPE, wire([8, 0])),
        (Size::Octet, at::VERSION, 0x45),
        (Size::Octet, at::PROTOCOL, libc::IPPROTO_UDP),
        (Size::Half, at::PORT_TO, wire(port.to_be_bytes())),
    ] {
        p.load(size, 2, 6, offset);
        p.jump(UNLESS_EQUAL, (2, 0), wanted, Label::Pass);
    }
    let test_entry = u64::from_ne_bytes(*TEST_ENTRY.first_chunk().expect("it has ten octets"));
    p.load(Size::Double, 2, 6, at::NAME);
    p.push(LONG_CONSTANT, (3, 0), 0, test_entry as u32 as i32);
    p.push(0, (0, 0), 0, (test_entry >> 32) as u32 as i32);
    p.jump(UNLESS_EQUAL_REGISTER, (2, 3), 0, Label::Reply);
    p.label(Label::Pass);
    p.push(SET, (0, 0), 0, XDP_PASS);
    p.push(EXIT, (0, 0), 0, 0);

    p.label(Label::Reply);
    p.swap(Size::Word, at::ETHER_TO, at::ETHER_FROM);
    p.swap(Size::Half, at::ETHER_TO + 4, at::ETHER_FROM + 4);
    p.swap(Size::Word, at::FROM, at::TO);
    p.swap(Size::Half, at::PORT_FROM, at::PORT_TO);
    // 2 = the flags of the query, 3 = those of the reply: an authoritative NXDOMAIN.
    p.load(Size::Half, 2, 6, at::FLAGS);
    p.push(COPY, (3, 2), 0, 0);
    p.push(AND, (3, 0), 0, wire([0xff, 0]));
    p.push(OR, (3, 0), 0, wire([0x84, 3]));
    p.store(Size::Half, 6, at::FLAGS, 3);
    // 4 = the checksum: ~(~it + ~query + reply), in ones' complement; none stays none, and one that comes to none is all ones.
    p.load(Size::Half, 4, 6, at::CHECKSUM);
    p.jump(IF_EQUAL, (4, 0), 0, Label::Unsummed);
    p.push(XOR, (4, 0), 0, 0xffff);
    p.push(XOR, (2, 0), 0, 0xffff);
    p.push(ADD_REGISTER, (4, 2), 0, 0);
    p.push(ADD_REGISTER, (4, 3), 0, 0);
    for _ in 0..2 {
        p.push(COPY, (5, 4), 0, 0);
        p.push(SHIFT_RIGHT, (5, 0), 0, 16);
        p.push(AND, (4, 0), 0, 0xffff);
        p.push(ADD_REGISTER, (4, 5), 0, 0);
    }
    p.push(XOR, (4, 0), 0, 0xffff);
    p.jump(UNLESS_EQUAL, (4, 0), 0, Label::Summed);
    p.push(SET, (4, 0), 0, 0xffff);
    p.label(Label::Summed);
    p.store(Size::Half, 6, at::CHECKSUM, 4);
    p.label(Label::Unsummed);
    p.push(SET, (0, 0), 0, XDP_TX);
    p.push(EXIT, (0, 0), 0, 0);
    p.instructions
}

/// The parts of the call's argument that are used here.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log: [u32; 4],
    version: u32,
    flags: u32,
    name: [u8; 16],
    device: u32,
    attached_as: u32,
}

#[repr(C)]
#[derive(Default)]
struct Link {
    program: u32,
    device: u32,
    attached_as: u32,
    flags: u32,
}

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

fn bpf<T>(command: libc::c_int, argument: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the argument is a structure of the kernel's layout, cut short, of the size that is given; its pointers live on.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *argument, size_of::<T>()) };
    match i32::try_from(fd) {
        // SAFETY: a descriptor that the kernel has just opened for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has the device answer queries for the port, as long as both descriptors are open.
pub(super) fn answer_at(device: &str, own: SocketAddr) -> io::Result<[OwnedFd; 2]> {
    let name = CString::new(device)?;
    // SAFETY: a string that ends.
    let device = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if device == 0 {
        return Err(io::Error::last_os_error());
    }
    let instructions = program(own.port());
    let license = c"Dual MIT/GPL";
    let program = bpf(
        BPF_PROG_LOAD,
        &mut Load {
            kind: BPF_PROG_TYPE_XDP,
            count: instructions.len() as u32,
            instructions: instructions.as_ptr() as u64,
            license: license.as_ptr() as u64,
            attached_as: BPF_XDP,
            ..Load::default()
        },
    )?;
    let link = bpf(
        BPF_LINK_CREATE,
        &mut Link {
            program: program.as_raw_fd() as u32,
            device,
            attached_as: BPF_XDP,
            flags: XDP_FLAGS_DRV_MODE,
        },
    )?;
    Ok([program, link])
}
