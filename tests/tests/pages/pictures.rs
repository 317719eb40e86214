//! Pictures of pages, held against those in `tests/screens`.
//!
//! `VERDICT_UPDATE_SCREENS=1` writes these anew: look at them before they are committed. What differs is written beside its
//! difference under `target/screens`.

use crate::root;
use png::{BitDepth, ColorType, Compression, Decoder, Encoder, Filter, Transformations};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::io::Cursor;
use std::path::PathBuf;

/// A difference of a pixel's channel that nobody sees: another version of the browser smooths the edges of letters a little
/// differently. A word or a line that changes differs by more.
const FAINT: u8 = 40;
/// So many pixels in 100,000 may differ by more than that. All but the smoothing is the same everywhere: the browser has one
/// family of fonts, unhinted, and draws without the graphics card. One word of a table is about 150 pixels, and
/// a picture has about 1,000,000.
const SPARE: usize = 10;
/// In a picture that is kept, what differs from a more frequent colour by no more than this in each channel takes that one: it
/// takes less room. The grounds of the themes are 6 apart and more.
const NEAR: u8 = 4;
/// So many pixels in 100,000 may differ by more than [`NEAR`]: letters have fewer edges; the ground of a tile is more.
const EDGES: usize = 1_000;

/// A picture: its width, and three bytes a pixel.
#[derive(Clone, PartialEq, Eq)]
struct Picture {
    width: u32,
    bytes: Vec<u8>,
}

impl Picture {
    fn read(png: &[u8]) -> Self {
        let mut decoder = Decoder::new(Cursor::new(png));
        decoder.set_transformations(Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut bytes).unwrap();
        bytes.truncate(frame.buffer_size());
        match frame.color_type {
            ColorType::Rgb => {}
            ColorType::Rgba => bytes = bytes.chunks_exact(4).flat_map(|pixel| &pixel[..3]).copied().collect(),
            other => panic!("a picture of a page has colours: {other:?}"),
        }
        Self { width: frame.width, bytes }
    }

    /// The same in fewer colours: grounds and letters keep theirs, the shades between them become fewer.
    fn plainer(&self) -> Self {
        let mut counts: HashMap<&[u8], usize> = HashMap::new();
        self.bytes.chunks_exact(3).for_each(|pixel| *counts.entry(pixel).or_default() += 1);
        let mut colours: Vec<&[u8]> = counts.keys().copied().collect();
        colours.sort_by_key(|colour| (Reverse(counts[colour]), *colour));
        let (mut kept, mut of) = (Vec::<&[u8]>::new(), HashMap::<&[u8], &[u8]>::new());
        for colour in colours {
            let is_near =
                |kept: &&&[u8]| (0..3).all(|channel| kept[channel].abs_diff(colour[channel]) <= NEAR);
            let near = kept.iter().find(is_near).copied();
            of.insert(colour, near.unwrap_or(colour));
            kept.extend(near.is_none().then_some(colour));
        }
        let bytes = self.bytes.chunks_exact(3).flat_map(|pixel| of[pixel]).copied().collect();
        Self { width: self.width, bytes }
    }

    /// As small as it can be: by a palette, if 256 colours suffice.
    fn write(&self) -> Vec<u8> {
        let colours: BTreeSet<&[u8]> = self.bytes.chunks_exact(3).collect();
        let mut png = Vec::new();
        let mut encoder = Encoder::new(&mut png, self.width, self.height());
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::High);
        let bytes = if colours.len() <= 256 {
            encoder.set_color(ColorType::Indexed);
            encoder.set_palette(colours.iter().copied().flatten().copied().collect::<Vec<u8>>());
            encoder.set_filter(Filter::NoFilter);
            let palette: HashMap<&[u8], u8> = colours.into_iter().zip(0..=255).collect();
            self.bytes.chunks_exact(3).map(|pixel| palette[pixel]).collect()
        } else {
            encoder.set_color(ColorType::Rgb);
            encoder.set_filter(Filter::Adaptive);
            self.bytes.clone()
        };
        encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
        png
    }

    fn height(&self) -> u32 {
        u32::try_from(self.bytes.len() / 3).unwrap() / self.width
    }

    fn size(&self) -> String {
        format!("{} x {}", self.width, self.height())
    }

    /// How it differs from another of the same size.
    fn difference(&self, other: &Self) -> Difference {
        let (mut clear, mut any) = (0, 0);
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for (a, b) in self.bytes.chunks_exact(3).zip(other.bytes.chunks_exact(3)) {
            let by = (0..3).map(|channel| a[channel].abs_diff(b[channel])).max();
            clear += usize::from(by > Some(FAINT));
            any += usize::from(by > Some(NEAR));
            match by > Some(NEAR) {
                true => bytes.extend([255, 0, 0]),
                false => bytes.extend(a.iter().map(|channel| 255 - (255 - channel) / 4)),
            }
        }
        Difference { clear, any, of: self.bytes.len() / 3, shown: Self { width: self.width, bytes } }
    }
}

/// How two pictures differ: in how many pixels clearly, in how many at all, and where (red on a faint copy).
struct Difference {
    clear: usize,
    any: usize,
    of: usize,
    shown: Picture,
}

impl Difference {
    fn is_seen(&self) -> bool {
        self.clear * 100_000 > self.of * SPARE || self.any * 100_000 > self.of * EDGES
    }
}

fn baselines() -> PathBuf {
    root().join("tests/screens")
}

fn is_update() -> bool {
    std::env::var("VERDICT_UPDATE_SCREENS").is_ok_and(|value| value == "1")
}

/// Holds a picture (PNG) against the one of this name; what is wrong, if anything is.
pub fn compare(name: &str, png: &[u8]) -> Result<(), String> {
    let path = baselines().join(format!("{name}.png"));
    let actual = Picture::read(png);
    if is_update() {
        std::fs::create_dir_all(baselines()).unwrap();
        std::fs::write(path, actual.plainer().write()).unwrap();
        return Ok(());
    }
    let folder = root().join("target/screens");
    let keep = |what: &str, picture: &Picture| {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}{what}.png")), picture.write()).unwrap();
    };
    let told = format!(
        "see target/screens/{name}.png; if it is right, VERDICT_UPDATE_SCREENS=1 writes it into tests/screens"
    );
    let Ok(expected) = std::fs::read(&path) else {
        keep("", &actual);
        return Err(format!("{name}: there is no picture to hold it against; {told}"));
    };
    let expected = Picture::read(&expected);
    if expected.size() != actual.size() {
        keep("", &actual);
        return Err(format!("{name}: it is {} pixels, not {}; {told}", actual.size(), expected.size()));
    }
    let difference = actual.difference(&expected);
    if difference.is_seen() {
        keep("", &actual);
        keep("-difference", &difference.shown);
        let (clear, any) = (difference.clear, difference.any);
        return Err(format!(
            "{name}: {clear} pixels differ clearly, {any} at all (in {name}-difference.png); {told}"
        ));
    }
    Ok(())
}

/// The pictures of no page.
pub fn left_over(names: &[String]) -> Vec<String> {
    let files = std::fs::read_dir(baselines()).unwrap().map(|file| file.unwrap());
    let mut left: Vec<String> = files
        .map(|file| file.file_name().into_string().unwrap())
        .filter(|file| !names.iter().any(|name| *file == format!("{name}.png")))
        .collect();
    left.sort();
    left
}

#[test]
fn what_nobody_sees_is_no_difference_and_a_word_is() {
    let white = Picture { width: 1_000, bytes: vec![255; 3_000_000] };
    let changed = |pixels: usize, by: u8| {
        let mut other = white.clone();
        other.bytes[..3 * pixels].fill(255 - by);
        other.difference(&white)
    };
    let faint = changed(5_000, FAINT);
    assert_eq!((faint.clear, faint.any, faint.is_seen()), (0, 5_000, false), "edges of letters");
    assert_eq!((&faint.shown.bytes[..3], faint.shown.bytes[15_000]), (&[255, 0, 0][..], 255));
    let word = changed(150, FAINT + 1);
    assert_eq!((word.clear, word.is_seen()), (150, true), "a word of a table");
    assert!(changed(12_000, 6).is_seen(), "the ground of a tile");
    assert_eq!(changed(1_000_000, NEAR).any, 0);
    // What is written is what is read, by a palette and without; in fewer colours it is nearly the same.
    assert!(Picture::read(&white.write()) == white);
    let mut other = white.clone();
    for (nth, byte) in other.bytes.iter_mut().enumerate() {
        *byte = (nth % 256) as u8;
    }
    assert!(Picture::read(&other.write()) == other);
    let plainer = other.plainer();
    assert!(other.bytes.iter().zip(&plainer.bytes).all(|(a, b)| a.abs_diff(*b) <= NEAR));
    let colours =
        |picture: &Picture| picture.bytes.chunks_exact(3).map(<[u8]>::to_vec).collect::<BTreeSet<_>>().len();
    assert!(colours(&plainer) * 2 < colours(&other));
}
