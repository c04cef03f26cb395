"""What every API view shares and no booking noun is needed for: fields, answers, pages."""
