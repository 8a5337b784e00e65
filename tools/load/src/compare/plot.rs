//! A plot with two logarithmic axes, as SVG.

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 55.0;
/// Told apart also by those who do not see all colours.
const COLOURS: [&str; 6] = ["#555555", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"];

/// A line of a plot.
#[derive(Clone, Debug)]
pub struct Line {
    /// Whose it is.
    pub name: String,
    /// Its points, x and y; those that are not above zero are left out.
    pub points: Vec<(f64, f64)>,
}

/// A plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// Above it.
    pub title: String,
    /// Below the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis.
    pub y_label: String,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// One axis: powers of ten from the first to the last, and where they are in the picture.
struct Axis {
    first: i32,
    last: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Axis {
        let (least, most) = values
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
                (least.min(value.log10()), most.max(value.log10()))
            });
        if least > most {
            return Axis { first: 0, last: 1, from, to };
        }
        let first = least.floor() as i32;
        let last = (most.ceil() as i32).max(first + 1);
        Axis { first, last, from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + share * (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = i32> + use<> {
        self.first..=self.last
    }
}

impl Plot {
    /// The picture.
    pub fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| shown(&line.points));
        let x = Axis::around(points().map(|point| point.0), LEFT, WIDTH - RIGHT);
        let y = Axis::around(points().map(|point| point.1), HEIGHT - BOTTOM, TOP);
        let mut svg = String::new();
        let mut put = |text: String| svg.push_str(&format!("{text}\n"));
        put(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">"
        ));
        put(format!("<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>"));
        put(text(WIDTH / 2.0 - RIGHT / 4.0, 22.0, "middle", &self.title));
        put(text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 12.0, "middle", &self.x_label));
        put(format!(
            "<g transform=\"translate(18 {:.1}) rotate(-90)\">{}</g>",
            (TOP + HEIGHT - BOTTOM) / 2.0,
            text(0.0, 0.0, "middle", &self.y_label)
        ));
        for power in x.powers() {
            let at = x.place(10f64.powi(power));
            put(rule(at, TOP, at, HEIGHT - BOTTOM));
            put(text(at, HEIGHT - BOTTOM + 18.0, "middle", &number(power)));
        }
        for power in y.powers() {
            let at = y.place(10f64.powi(power));
            put(rule(LEFT, at, WIDTH - RIGHT, at));
            put(text(LEFT - 8.0, at + 4.0, "end", &number(power)));
        }
        for (index, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let places: Vec<(f64, f64)> =
                shown(&line.points).map(|(a, b)| (x.place(a), y.place(b))).collect();
            let path: Vec<String> = places.iter().map(|(a, b)| format!("{a:.1},{b:.1}")).collect();
            put(format!(
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
                path.join(" ")
            ));
            for (a, b) in places {
                put(format!("<circle cx=\"{a:.1}\" cy=\"{b:.1}\" r=\"3.5\" fill=\"{colour}\"/>"));
            }
            let at = TOP + 14.0 + 20.0 * index as f64;
            let left = WIDTH - RIGHT + 14.0;
            put(format!(
                "<rect x=\"{left}\" y=\"{:.1}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>",
                at - 6.0
            ));
            put(text(left + 22.0, at, "start", &line.name));
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn shown(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> + '_ {
    points.iter().copied().filter(|(x, y)| *x > 0.0 && *y > 0.0 && x.is_finite() && y.is_finite())
}

fn number(power: i32) -> String {
    match power {
        0.. => format!("{}", 10f64.powi(power)),
        _ => format!("{:.*}", power.unsigned_abs() as usize, 10f64.powi(power)),
    }
}

fn rule(x1: f64, y1: f64, x2: f64, y2: f64) -> String {
    format!(
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#dddddd\"/>"
    )
}

fn text(x: f64, y: f64, anchor: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_their_logarithms_say() {
        let axis = Axis::around([1.0, 4096.0].into_iter(), 0.0, 400.0);
        assert_eq!((axis.first, axis.last), (0, 4));
        assert_eq!((axis.place(1.0), axis.place(100.0), axis.place(1e4)), (0.0, 200.0, 400.0));
        assert_eq!((number(-2), number(0), number(3)), ("0.01".into(), "1".into(), "1000".into()));
    }

    #[test]
    fn a_plot_shows_each_line_and_leaves_out_what_is_no_number() {
        let line = |name: &str, points: &[(f64, f64)]| Line {
            name: name.to_owned(),
            points: points.to_vec(),
        };
        let plot = Plot {
            title: "a < b".to_owned(),
            x_label: "readers".to_owned(),
            y_label: "cost".to_owned(),
            lines: vec![
                line("one", &[(1.0, 0.2), (8.0, 0.3)]),
                line("two", &[(1.0, f64::NAN), (8.0, 0.0)]),
            ],
        };
        let svg = plot.svg();
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("a &lt; b") && !svg.contains("NaN") && svg.ends_with("</svg>\n"));
        Plot { lines: Vec::new(), ..plot }.svg();
    }
}
