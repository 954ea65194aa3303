// How wrong are the carried pages on rows of somebody's measurements?
//
// The page of the rows' own device prices them; without one, a sister's does (datasheet facts are always the row's own
// device's), and the band by which coverage is judged is widened accordingly.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fit/family.hpp"
#include "fit/lending.hpp"

namespace moeline {

// A row that is far off, of a kind whose rows are few enough to name.
struct RemarkableRow {
  std::string label;
  double error = 0;  // predicted / measured - 1
};

struct Checked {
  FamilyKey key;
  std::optional<Page> page;          // none: no carried page knows this operation and format on that generation
  std::vector<double> predicted_us;  // one per row
  std::vector<double> ratios;        // log(predicted / measured)
  ErrorSummary errors;
  double coverage = 0;             // share inside the page's p10-p90 of their size class
  std::vector<SizeClass> classes;  // the same by the page's size classes; spread is the page's
  std::map<std::string, std::size_t> skipped;
  std::vector<RemarkableRow> remarkable;
};

// The page that prices the rows: of the same operation, format and equation, the same library before another; nullptr
// if there is none. `pages` are candidates, best first.
const Page* page_for(const FamilyData& rows, const std::vector<Page>& pages);

Checked check_rows(const FamilyData& rows, const std::vector<Page>& pages, Conditions conditions = Conditions::benchmark);

// Candidates for a device named as measurements name it: its own pages, its relatives', then strangers' (another
// generation, at least 25 % spread).
std::vector<Page> pages_for_device(const std::string& device);

}  // namespace moeline
