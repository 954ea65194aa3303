// Which numbers of a deployment can be moved, beside those of its machine and model?
//
// Software: the host's work, handling of requests. Room: the memory of a device, in steps, because it holds whole requests.
// Load: users or requests per second, their lengths, what is cached, how often drafts are kept.
#pragma once

#include "plan/elasticity.hpp"

namespace moeline {

void add_serving_inputs(std::vector<Input>& list, const Question& question);

}  // namespace moeline
