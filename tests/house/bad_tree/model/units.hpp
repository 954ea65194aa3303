// Right: nothing is included.
#pragma once
