#include "reports/calibration_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "reports/calibration_page.hpp"

namespace moeline {
namespace {

// Of all records of one op: how far apart its samples were, and how many another process spoilt.
struct Noise {
  std::vector<double> widths;     // (p90 - p10) / median of each record
  std::vector<double> disturbed;  // shares of samples
  std::size_t failed = 0;
};

std::map<std::string, Noise> noise_by_op(const CalibrationReport& report) {
  std::map<std::string, Noise> by_op;
  for (const std::vector<Record>* records : {&report.records, &report.fresh_records}) {
    for (const Record& record : *records) {
      Noise& noise = by_op[record.op];
      if (!record.failed.empty()) {
        ++noise.failed;
        continue;
      }
      noise.widths.push_back((record.seconds.p90 - record.seconds.p10) / record.seconds.median);
      noise.disturbed.push_back(record.disturbed);
    }
  }
  return by_op;
}

double median(const std::vector<double>& values) { return values.empty() ? 0 : quantile(values, 0.5); }

const FamilyFit* page_of(const CalibrationReport& report, const FamilyKey& key) {
  const auto found = std::ranges::find(report.pages, key, &FamilyFit::key);
  return found == report.pages.end() ? nullptr : &*found;
}

// Mean over the rows of all families.
double mean_error(const std::vector<Checked>& checked) {
  double sum = 0, rows = 0;
  for (const Checked& family : checked) {
    sum += family.errors.mean * static_cast<double>(family.errors.n);
    rows += static_cast<double>(family.errors.n);
  }
  return rows > 0 ? sum / rows : 0;
}

struct Row {
  std::string operation, library, dtype, fitted, held_out, fresh, bias;
  std::size_t rows, fresh_rows;
};

// Every family once, those without a page too.
std::vector<Row> rows_of(const CalibrationReport& report) {
  const auto percent = [](const ErrorSummary& e) {
    return e.n == 0 ? std::string("-") : fmt::format("{:.1f} %", 100 * e.mean);
  };
  std::vector<Row> rows;
  for (const FamilyFit& page : report.pages) {
    const auto found = std::ranges::find(report.checked, page.key, &Checked::key);
    const ErrorSummary fresh = found == report.checked.end() ? ErrorSummary{} : found->errors;
    rows.push_back({page.key.operation, page.key.library, page.key.dtype, percent(page.fitted), percent(page.held_out),
                    percent(fresh), fresh.n == 0 ? "-" : fmt::format("{:+.1f} %", 100 * fresh.bias), page.fitted.n,
                    fresh.n});
  }
  return rows;
}

std::string commands(const CalibrationReport& report) {
  if (report.pages.empty()) return "";
  const std::string file = report.folder + "/" + report.pages.front().key.device + ".json";
  return fmt::format("moeline check {0}/fresh.jsonl --calibration {1}\nmoeline fit {0}/measurements.jsonl\n",
                     report.folder, file);
}

}  // namespace

std::string calibration_text(const CalibrationReport& report) {
  std::string out = fmt::format("{}: {} records, and {} of shapes that the fit never saw\n\n", report.machine,
                                report.records.size(), report.fresh_records.size());
  out += fmt::format("  {:<14}{:<20}{:<10}{:>6}{:>9}{:>10}{:>8}{:>9}{:>9}\n", "family", "library", "format", "rows",
                     "fitted", "held out", "fresh", "error", "bias");
  for (const Row& r : rows_of(report)) {
    out += fmt::format("  {:<14}{:<20}{:<10}{:>6}{:>9}{:>10}{:>8}{:>9}{:>9}\n", r.operation, r.library, r.dtype, r.rows,
                       r.fitted, r.held_out, r.fresh_rows, r.fresh, r.bias);
  }
  for (const Checked& checked : report.checked) {
    if (page_of(report, checked.key) != nullptr) continue;
    out += fmt::format("  {:<14}{:<20}{:<10} too few rows for a page\n", checked.key.operation, checked.key.library,
                       checked.key.dtype);
  }
  out += fmt::format("\n  mean error on fresh shapes {:.1f} %\n\n", 100 * mean_error(report.checked));
  for (const auto& [op, noise] : noise_by_op(report)) {
    out +=
        fmt::format("  noise of {:<14} p10 to p90 {:.1f} % of the median, {:.0f} % of the samples disturbed by others",
                    op, 100 * median(noise.widths), 100 * median(noise.disturbed));
    out += noise.failed > 0 ? fmt::format(", {} cases failed\n", noise.failed) : "\n";
  }
  return out + fmt::format("\nwritten to {}/; the same again: \n{}", report.folder, commands(report));
}

std::string calibration_markdown(const CalibrationReport& report) {
  std::string out = fmt::format(
      "# {}\n\nMeasured, fitted and checked by `moeline calibrate`. Errors are means of |predicted / measured - "
      "1|.\n\n",
      report.machine);
  out += "| operation | library | format | rows | fitted | held out | fresh rows | error on them | bias |\n";
  out += "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n";
  for (const Row& r : rows_of(report)) {
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", r.operation, r.library, r.dtype, r.rows,
                       r.fitted, r.held_out, r.fresh_rows, r.fresh, r.bias);
  }
  out += "\n*Held out*: folds of unseen groups of the fitted rows. *Fresh*: shapes measured for the check alone.\n\n";
  out += "| noise | p10 to p90, of the median | samples disturbed by others | failed |\n| --- | ---: | ---: | ---: |\n";
  for (const auto& [op, noise] : noise_by_op(report)) {
    out += fmt::format("| {} | {:.1f} % | {:.0f} % | {} |\n", op, 100 * median(noise.widths),
                       100 * median(noise.disturbed), noise.failed);
  }
  out += "\n```\n" + commands(report) + "```\n\n```\n";
  for (const FamilyFit& page : report.pages) out += page_text(page);
  return out + "```\n";
}

}  // namespace moeline
