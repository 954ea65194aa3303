#include "reports/accuracy_plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace moeline {
namespace {

// Pixels; a panel's plot sits inside its frame.
constexpr int kColumns = 3, kPanelWidth = 330, kPanelHeight = 200, kLeft = 38, kTop = 30, kPlotWidth = 250,
              kPlotHeight = 130;
constexpr int kHeader = 34;
constexpr int kCellsAcross = 50, kCellsUp = 40;
constexpr double kMostRatio = 2;  // the axis ends here; rows beyond sit on its edge

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : std::string(1, c);
  return out;
}

double height_of(double ratio) {
  const double share = std::log(ratio) / std::log(kMostRatio);
  return kTop + kPlotHeight * (1 - (std::clamp(share, -1.0, 1.0) + 1) / 2);
}

struct Range {
  double low, high;  // log10 of microseconds
};

Range range_of(const std::vector<double>& measured) {
  const auto [least, most] = std::minmax_element(measured.begin(), measured.end());
  return {std::floor(std::log10(*least)), std::max(std::ceil(std::log10(*most)), std::floor(std::log10(*least)) + 1)};
}

std::string duration(int power) {  // of ten, in microseconds
  const char* unit = power < 3 ? "us" : power < 6 ? "ms" : "s";
  return fmt::format("{:g} {}", std::pow(10, power - (power < 3 ? 0 : power < 6 ? 3 : 6)), unit);
}

std::string cells(const AccuracyPanel& panel, Range x) {
  std::map<std::pair<int, int>, int> counts;
  for (std::size_t row = 0; row < panel.measured_us.size(); ++row) {
    if (!(panel.page.held_out_us[row] > 0)) continue;
    const double along = (std::log10(panel.measured_us[row]) - x.low) / (x.high - x.low);
    const double up = (std::log(panel.page.held_out_us[row] / panel.measured_us[row]) / std::log(kMostRatio) + 1) / 2;
    const auto cell = [](double share, int cells) { return std::clamp(static_cast<int>(share * cells), 0, cells - 1); };
    ++counts[{cell(along, kCellsAcross), cell(up, kCellsUp)}];
  }
  int most = 1;
  for (const auto& [cell, count] : counts) most = std::max(most, count);
  // One path per shade keeps the file small.
  constexpr int kShades = 5;
  std::vector<std::string> paths(kShades);
  const double wide = static_cast<double>(kPlotWidth) / kCellsAcross,
               tall = static_cast<double>(kPlotHeight) / kCellsUp;
  for (const auto& [cell, count] : counts) {
    const double share = std::log1p(count) / std::log1p(most);
    const int shade = std::clamp(static_cast<int>(std::ceil(share * kShades)) - 1, 0, kShades - 1);
    paths[static_cast<std::size_t>(shade)] +=
        fmt::format("M{:.4g} {:.4g}h{:.3g}v{:.3g}h-{:.3g}z", kLeft + cell.first * wide,
                    kTop + kPlotHeight - (cell.second + 1) * tall, wide, tall, wide);
  }
  std::string out;
  for (int shade = 0; shade < kShades; ++shade) {
    const std::string& path = paths[static_cast<std::size_t>(shade)];
    if (!path.empty()) out += fmt::format("<path class=\"r\" opacity=\"{:.1f}\" d=\"{}\"/>\n", 0.2 * (shade + 1), path);
  }
  return out;
}

std::string frame(const FamilyFit& page, Range x) {
  // The whole caption is the panel's title, which viewers show on pointing; long library names would run into their neighbour.
  constexpr std::size_t kLongest = 60;
  const std::string& library = page.key.library;
  const std::string elided = library.size() <= kLongest ? library : library.substr(0, kLongest / 2) + "…" + library.substr(library.size() - kLongest / 2);
  std::string out = fmt::format("<title>{}</title><text x=\"{}\" y=\"12\">{} {}: {} rows, mean {:.1f} %</text><text class=\"a\" x=\"{}\" y=\"24\">{}</text>\n",
                                escaped(panel_caption(page)), kLeft, escaped(page.key.device), escaped(page.key.dtype), page.held_out.n,
                                100 * page.held_out.mean, kLeft, escaped(elided));
  for (const double ratio : {0.5, 0.7, 1.0, 1.4, 2.0}) {
    const double y = height_of(ratio);
    out += fmt::format(
        "<path class=\"{}\" d=\"M{} {:.1f}h{}\"/><text class=\"a\" x=\"{}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{}</text>\n",
        ratio == 1.0 ? "o" : "g", kLeft, y, kPlotWidth, kLeft - 4, y + 3, ratio);
  }
  for (const double log_band : {page.spread.low, page.spread.high}) {  // of measured over predicted
    out += fmt::format("<path class=\"b\" d=\"M{} {:.1f}h{}\"/>\n", kLeft, height_of(std::exp(-log_band)), kPlotWidth);
  }
  for (int power = static_cast<int>(x.low); power <= static_cast<int>(x.high); ++power) {
    const double at = kLeft + kPlotWidth * (power - x.low) / (x.high - x.low);
    out += fmt::format("<text class=\"a\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", at,
                       kTop + kPlotHeight + 13, duration(power));
  }
  return out;
}

}  // namespace

std::string panel_caption(const FamilyFit& page) {
  return fmt::format("{} {} {}: {} rows, mean {:.1f} %", page.key.device, page.key.library, page.key.dtype,
                     page.held_out.n, 100 * page.held_out.mean);
}

std::string accuracy_svg(const std::string& title, const std::vector<AccuracyPanel>& panels) {
  const int count = static_cast<int>(panels.size());
  const int columns = std::min(count, kColumns), rows = (count + kColumns - 1) / kColumns;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n"
      "<style>text{{font:11px "
      "sans-serif;fill:#333}}.h{{font-size:14px}}.a{{font-size:9px}}.r{{fill:#0b62a4}}.g{{stroke:#8884}}"
      ".o{{stroke:#888}}.b{{stroke:#c60;stroke-dasharray:4 3}}"
      "@media(prefers-color-scheme:dark){{text{{fill:#ddd}}.r{{fill:#6bf}}}}</style>\n"
      "<text class=\"h\" x=\"8\" y=\"20\">{}: predicted over measured, against measured time; rows of groups the fit "
      "never saw</text>\n",
      std::max(columns, 2) * kPanelWidth, kHeader + rows * kPanelHeight, escaped(title), escaped(title));
  for (int i = 0; i < count; ++i) {
    const AccuracyPanel& panel = panels[static_cast<std::size_t>(i)];
    const Range x = range_of(panel.measured_us);
    out += fmt::format("<g transform=\"translate({} {})\">\n{}{}</g>\n", i % kColumns * kPanelWidth,
                       kHeader + i / kColumns * kPanelHeight, cells(panel, x), frame(panel.page, x));
  }
  return out + "</svg>\n";
}

}  // namespace moeline
