// One answer with all that a page about it draws: the object of -o json, and besides it
//
//   page: headline, asked (the scenario as given), elasticities, without, neighbours, ops and passes as `explain -o json` writes them, timeline of
//         the step, roofline of the device, facts of the machine with sources, fits in use with their errors; of a wafer, throughput by tiling;
//         of serving, figures by requests at once, and speedups of speculation: a row a number of drafted tokens, a column a batch
// The same function runs in the binary and, compiled for the browser, behind the sliders of a report.
#pragma once

#include <string>

#include "fit/answer.hpp"
#include "reports/explanation.hpp"

namespace moeline {

// `json` is the scenario that `answer` answers; `origin` names it in messages.
Json page_answer(const Answer& answer, const Json& json, const std::string& origin);

// Puts elasticities, without, neighbours, passes and ops into `page`. Of a deployment a page has them only where they are
// asked for: behind sliders they would take a second.
void add_explanation(Json& page, const Answer& answer, const Json& json, const std::string& origin);

// What `explain` says of an answer that runs: `ops` at most, the longest first. Names are views of `question`, the
// varied one.
Explanation explained(const Question& question, const Answer& answer, const Json& json, const std::string& origin,
                      std::size_t ops);

}  // namespace moeline
