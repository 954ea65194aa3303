// Wrong: ops stands to the right of spec.
#pragma once
#include "ops/work.hpp"
