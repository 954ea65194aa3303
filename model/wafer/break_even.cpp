#include "wafer/break_even.hpp"

namespace moeline {

Seconds stream_time(const StreamBalance& b, double parameters) { return parameters * b.weight / b.input; }

Seconds compute_time(const StreamBalance& b, double active_parameters, double tokens) {
  return 2 * active_parameters * tokens * flop / b.rate;
}

double break_even_rows(const StreamBalance& b) { return b.weight * b.rate / (2 * b.input) / (1.0 * flop); }

double break_even_tokens(const StreamBalance& b, double parameters, double active) {
  return break_even_rows(b) * parameters / active;
}

}  // namespace moeline
