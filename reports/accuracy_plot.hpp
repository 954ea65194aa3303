// Where do held-out predictions sit against the measurements? A picture for documents.
//
// One panel a family: measured time along, predicted over measured upwards, both logarithmic; darker cells hold more
// rows. Dashed lines are the page's p10 and p90. The picture names the figures it shows, so that a stale one can be
// told.
#pragma once

#include <string>
#include <vector>

#include "fit/family.hpp"

namespace moeline {

struct AccuracyPanel {
  FamilyFit page;  // held_out_us filled
  std::vector<double> measured_us;
};

// SVG, readable on light and dark pages, printable.
std::string accuracy_svg(const std::string& title, const std::vector<AccuracyPanel>& panels);

// The line inside an SVG that names a panel and its figures; a picture without it is stale.
std::string panel_caption(const FamilyFit& page);

}  // namespace moeline
