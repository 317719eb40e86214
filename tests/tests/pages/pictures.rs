//! Pictures of pages, held against those in `tests/screens`.
//!
//! `VERDICT_UPDATE_SCREENS=1` writes these anew: look at them before they are committed. What differs is written beside its
//! difference under `target/screens`.

use crate::root;
use png::{BitDepth, ColorType, Compression, Decoder, Encoder, Filter, Transformations};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::PathBuf;

/// A difference of a pixel's channel that nobody sees: another version of the browser smooths the edges of letters a little
/// differently. A word, a line, a colour of the theme that changes differs by far more.
const FAINT: u8 = 40;
/// So many pixels in 100,000 may differ by more than that. All but the smoothing is the same everywhere: the browser has one
/// family of fonts, unhinted, and draws without the graphics card. One word of a table is about 150 pixels, and
/// a picture has about 1,000,000.
const SPARE: usize = 10;

/// A picture: its width, and three bytes a pixel.
#[derive(Clone, PartialEq, Eq)]
struct Picture {
    width: u32,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    fn read(png: &[u8]) -> Self {
        let mut decoder = Decoder::new(Cursor::new(png));
        decoder.set_transformations(Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut bytes).unwrap();
        let size = match frame.color_type {
            ColorType::Rgb => 3,
            ColorType::Rgba => 4,
            other => panic!("a picture of a page has colours: {other:?}"),
        };
        let pixels =
            bytes[..frame.buffer_size()].chunks_exact(size).map(|pixel| [pixel[0], pixel[1], pixel[2]]);
        Self { width: frame.width, pixels: pixels.collect() }
    }

    /// As small as it can be: by a palette, if 256 colours suffice.
    fn write(&self) -> Vec<u8> {
        let mut palette: BTreeMap<[u8; 3], u8> = BTreeMap::new();
        for pixel in &self.pixels {
            palette.entry(*pixel).or_default();
            if palette.len() > 256 {
                break;
            }
        }
        let mut png = Vec::new();
        let mut encoder = Encoder::new(&mut png, self.width, self.height());
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::High);
        let bytes: Vec<u8> = if palette.len() <= 256 {
            for (index, of) in (0..=255).zip(palette.values_mut()) {
                *of = index;
            }
            encoder.set_color(ColorType::Indexed);
            encoder.set_palette(palette.keys().flatten().copied().collect::<Vec<u8>>());
            encoder.set_filter(Filter::NoFilter);
            self.pixels.iter().map(|pixel| palette[pixel]).collect()
        } else {
            encoder.set_color(ColorType::Rgb);
            encoder.set_filter(Filter::Adaptive);
            self.pixels.concat()
        };
        encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
        png
    }

    fn height(&self) -> u32 {
        u32::try_from(self.pixels.len()).unwrap() / self.width
    }

    fn size(&self) -> String {
        format!("{} x {}", self.width, self.height())
    }

    /// How many pixels of another of the same size differ, and where: red on a faint copy.
    fn difference(&self, other: &Self) -> (usize, Self) {
        let differs = |(a, b): (&[u8; 3], &[u8; 3])| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > FAINT);
        let shown = self.pixels.iter().zip(&other.pixels).map(|(a, b)| {
            if differs((a, b)) { [255, 0, 0] } else { a.map(|channel| 255 - (255 - channel) / 4) }
        });
        let shown = Self { width: self.width, pixels: shown.collect() };
        (self.pixels.iter().zip(&other.pixels).filter(|pair| differs(*pair)).count(), shown)
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
        std::fs::write(path, actual.write()).unwrap();
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
    let (differing, shown) = actual.difference(&expected);
    if differing * 100_000 > actual.pixels.len() * SPARE {
        keep("", &actual);
        keep("-difference", &shown);
        return Err(format!(
            "{name}: {differing} pixels differ; {told}, and what differs in {name}-difference.png"
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
    let white = Picture { width: 1_000, pixels: vec![[255; 3]; 1_000_000] };
    let mut other = white.clone();
    other.pixels[7] = [255, 255, 255 - FAINT];
    assert_eq!(white.difference(&other).0, 0);
    other.pixels[7] = [255, 255, 254 - FAINT];
    let (differing, shown) = white.difference(&other);
    assert_eq!((differing, shown.pixels[7], shown.pixels[8]), (1, [255, 0, 0], [255; 3]));
    assert!(150 * 100_000 > white.pixels.len() * SPARE, "a word of a table is noticed");
    // What is written is what is read, by a palette and without.
    assert!(Picture::read(&other.write()) == other);
    for (nth, pixel) in other.pixels.iter_mut().take(300).enumerate() {
        *pixel = [(nth % 256) as u8, (nth / 256) as u8, 9];
    }
    assert!(Picture::read(&other.write()) == other);
}
