"""What FLIP (ICCV 2023) and InstructFLIP (ACM MM 2025) printed, as data, and what their experiments cost."""
