// How many tokens must a micro-batch hold before a wafer's arithmetic covers its weight stream?
//
//   t_stream  = b_w P / BW_in                        every weight crosses the wafer's edge once a pass
//   t_compute = 2 P_act T / (F eta)
//   T*        = b_w F eta / (2 BW_in) x P / P_act    equal times: dense models at P = P_act
//   T*_expert = b_w F eta / (2 BW_in)                rows one expert needs, whatever its size
// F is the dense peak, eta the achieved share, b_w bytes of a streamed weight. The derivation is ours, from published
// rates: the vendor has published no such formula. docs/theory/wafer.md.
#pragma once

#include "units.hpp"

namespace moeline {

// What a weight stream meets: arithmetic that is achieved, a line that is achieved, bytes a weight takes on it.
struct StreamBalance {
  FlopsPerSecond rate;   // F eta
  BytesPerSecond input;  // BW_in
  Bytes weight;          // b_w
};

Seconds stream_time(const StreamBalance& balance, double parameters);
Seconds compute_time(const StreamBalance& balance, double active_parameters, double tokens);
// Rows at which one matrix is computed as long as it is streamed.
double break_even_rows(const StreamBalance& balance);
// Tokens at which a model of `parameters`, `active` of them used by a token, balances.
double break_even_tokens(const StreamBalance& balance, double parameters, double active);

}  // namespace moeline
