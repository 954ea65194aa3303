#include "reports/calibration_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace moeline {

std::string page_text(const FamilyFit& page) {
  std::string out = fmt::format("{} · {} · {} · {}\n  {}\n", page.key.device, page.key.operation, page.key.library,
                                page.key.dtype, page.domain);
  for (std::size_t i = 0; i < page.parameters.size(); ++i) {
    out += fmt::format("  {:<18}{:>10.4g} {}{}\n", page.parameters[i].name, page.fit.values[i], page.parameters[i].unit,
                       page.fit.at_bound[i] ? "   (at its bound: not identified)" : "");
  }
  for (const auto& [what, e] : {std::pair{"fitted", page.fitted}, std::pair{"held out", page.held_out},
                                std::pair{"next decade", page.next_decade}}) {
    if (e.n == 0) continue;
    out += fmt::format("  {:<12} n {:>6}   mean {:>5.1f} %   median {:>5.1f} %   p90 {:>5.1f} %   bias {:+5.1f} %\n",
                       what, e.n, 100 * e.mean, 100 * e.median, 100 * e.p90, 100 * e.bias);
  }
  if (!page.surface.empty()) out += fmt::format("  corrected by a surface of {} knots\n", page.surface.values.size());
  for (const SizeClass& c : page.classes) {
    out += fmt::format(
        "  from {:>9.1f} us   n {:>6}   mean {:>5.1f} %   bias {:+5.1f} %   p10..p90 {:+.0f} .. {:+.0f} %   inside "
        "{:.0f} %\n",
        c.above_us, c.n, 100 * c.mean, 100 * c.bias, 100 * std::expm1(c.spread.low), 100 * std::expm1(c.spread.high),
        100 * c.coverage);
  }
  return out + "\n";
}

std::string accuracy_table(const std::vector<FamilyFit>& pages) {
  std::string out;
  for (const FamilyFit& page : pages) {
    const ErrorSummary& e = page.held_out;
    out += fmt::format("  {:<12}{:<32}{:<18}{:<10}{:>6} rows {:>6.1f} %  p90 {:>5.1f} %  bias {:>+5.1f} %\n",
                       page.key.device, page.key.operation, page.key.library, page.key.dtype, e.n, 100 * e.mean,
                       100 * e.p90, 100 * e.bias);
  }
  return out;
}

namespace {

// The class with the largest bias, and the least and most that a class's band holds.
struct BySize {
  double bias = 0, least = 1, most = 0;
};

BySize by_size(const FamilyFit& page) {
  BySize worst;
  for (const SizeClass& c : page.classes) {
    if (std::abs(c.bias) > std::abs(worst.bias)) worst.bias = c.bias;
    worst.least = std::min(worst.least, c.coverage);
    worst.most = std::max(worst.most, c.coverage);
  }
  return worst;
}

}  // namespace

std::string accuracy_markdown(const std::vector<FamilyFit>& pages) {
  std::string out =
      "| device | operation | library | format | rows | fitted | held out: mean | median | p90 | bias | worst bias of a size class | inside "
      "p10-p90, all and by size | next decade |\n| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
  for (const FamilyFit& page : pages) {
    const ErrorSummary& e = page.held_out;
    const BySize worst = by_size(page);
    out += fmt::format("| {} | {} | {} | {} | {} | {:.1f} % | {:.1f} % | {:.1f} % | {:.1f} % | {:+.1f} % | {:+.1f} % | {:.0f} %, {:.0f}-{:.0f} | {} |\n",
                       page.key.device, page.key.operation, page.key.library, page.key.dtype, page.fitted.n, 100 * page.fitted.mean,
                       100 * e.mean, 100 * e.median, 100 * e.p90, 100 * e.bias, 100 * worst.bias, 100 * page.coverage, 100 * worst.least,
                       100 * worst.most, page.next_decade.n == 0 ? "-" : fmt::format("{:.1f} %", 100 * page.next_decade.mean));
  }
  return out;
}

}  // namespace moeline
