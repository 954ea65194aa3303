// Wrong: not in the list of headers.
#pragma once
#include "units.hpp"
