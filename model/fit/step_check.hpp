// How wrong are predictions of whole training steps, in time and in memory?
//
// Every row of a step file is answered as its scenario would be; rows are summed by device, framework and format. Nothing
// is fitted to them but what docs/accuracy.md names, so all errors are held out unless it says otherwise.
#pragma once

#include <string>
#include <vector>

#include "fit/checking.hpp"
#include "fit/csv.hpp"

namespace moeline {

// `calibration`: "auto" is what each row's scenario says, else what all are priced with.
std::vector<Checked> check_steps(const Csv& csv, const std::string& calibration);

}  // namespace moeline
