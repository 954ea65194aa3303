// Wrong: gpu and wafer are siblings.
#pragma once
#include "gpu/roofline.hpp"
